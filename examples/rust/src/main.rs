//! Test both systems with the vectors of a folder, or be a program that the suite tests.
//!
//!     cargo build --release
//!     target/release/gaugeblock-example VECTORS
//!     gaugeblock check 'ademamix=cmd:target/release/gaugeblock-example'

mod ademamix;
mod attention;
mod json;
mod program;
mod tensors;
mod vectors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [] => program::serve().map(|()| 0),
        [folder] => vectors::run(folder),
        _ => Err("usage: gaugeblock-example [VECTORS]".to_string()),
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(message) => {
            eprintln!("gaugeblock-example: {message}");
            ExitCode::from(2)
        }
    }
}
