//! The products that records come from, and how to recognise them.

use std::sync::Arc;

use wanglou_model::Product;

/// The table of products, from `content/products.yaml`.
#[derive(Debug, Default)]
pub struct Catalog {
    products: Vec<Arc<Product>>,
}

/// The table of products cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is not the YAML we expect.
    #[error("cannot read the table of products: {0}")]
    Yaml(String),
}

impl Catalog {
    /// Reads the table.
    ///
    /// # Errors
    /// [`CatalogError`] when the text is not a table of products.
    pub fn from_yaml(_text: &str) -> Result<Self, CatalogError> {
        Ok(Self::default())
    }

    /// The product with this id.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<Arc<Product>> {
        self.products.iter().find(|product| product.id == id).cloned()
    }
}
