//! Small servers to start from, one a file, each with its test. `src/guide/cookbook.md` says when to use which.

pub mod asking;
pub mod axum_beside;
pub mod caching;
pub mod changing;
pub mod database;
pub mod http_api;
pub mod images;
pub mod long_work;
pub mod pagination;
pub mod per_user;
pub mod task;
pub mod testing;
