//! placeholder
pub struct Herald;
