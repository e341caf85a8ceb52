//! Turns `proto/` into Rust in `OUT_DIR` with protox, so that neither `protoc` nor generated code is needed.

use std::path::PathBuf;

const FILES: [&str; 1] = ["proto/transcribe/v1/transcribe.proto"];

/// Messages that the service over HTTP answers, too, as JSON.
const JSON: [&str; 2] = [".transcribe.v1.Caller", ".transcribe.v1.UploadResponse"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::Compiler::new(["proto"])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?
        .encode_file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(&out, &descriptors)?;

    let mut builder = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .file_descriptor_set_path(&out)
        .skip_protoc_run();
    for message in JSON {
        builder = builder.message_attribute(message, "#[derive(serde::Serialize, serde::Deserialize)]");
    }
    builder.compile_protos(&FILES, &["proto"])?;
    Ok(())
}
