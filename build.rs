//! Turns `proto/` into Rust in `OUT_DIR` with protox, so that neither `protoc` nor generated code is needed.

use std::path::PathBuf;

/// Messages that carry a token value: they must not get a derived `Debug`.
const WITH_TOKEN_VALUE: [&str; 5] = [
    "envoy.config.core.v3.HeaderValue",
    "envoy.service.auth.v3.AttributeContext.HttpRequest",
    "gatekey.v1.CreateTokenResponse",
    "gatekey.v1.VerifyTokenRequest",
    "gatekey.v1.VerifyTokenRequest.credential",
];

const FILES: [&str; 6] = [
    "proto/envoy/service/auth/v3/external_auth.proto",
    "proto/gatekey/v1/error_reason.proto",
    "proto/gatekey/v1/revocation_service.proto",
    "proto/gatekey/v1/token.proto",
    "proto/gatekey/v1/token_service.proto",
    "proto/grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::Compiler::new(["proto"])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?
        .encode_file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(&out, &descriptors)?;

    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .file_descriptor_set_path(&out)
        .build_transport(false)
        .skip_protoc_run()
        .skip_debug(WITH_TOKEN_VALUE.map(|message| format!(".{message}")))
        .compile_protos(&FILES, &["proto"])?;
    Ok(())
}
