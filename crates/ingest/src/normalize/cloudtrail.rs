//! cloudtrail.

use super::generic;
use super::mapping::Mapper;

pub(super) fn map(mapper: &mut Mapper<'_>) {
    generic::map(mapper);
}
