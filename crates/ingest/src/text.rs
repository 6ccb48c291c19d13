//! Text in whatever encoding it comes, to UTF-8.
