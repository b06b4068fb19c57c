//! Tests of the adapters together, through the library's public face.

mod rebuilt;
