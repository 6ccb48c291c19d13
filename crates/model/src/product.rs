//! The products that telemetry comes from.

use std::sync::{Arc, LazyLock};

/// A product whose records are understood; the table is `content/products.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Stable short name, such as `windows-sysmon`.
    pub id: String,
    /// Who makes it, such as `Microsoft` (OCSF `metadata.product.vendor_name`).
    pub vendor: String,
    /// What it is called, such as `Sysmon` (OCSF `metadata.product.name`).
    pub name: String,
}

/// The product of records that no recognition fits.
pub static UNKNOWN_PRODUCT: LazyLock<Arc<Product>> = LazyLock::new(|| {
    Arc::new(Product { id: "unknown".into(), vendor: "Unknown".into(), name: "Unknown".into() })
});
