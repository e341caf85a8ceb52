//! The disk is full: creates are refused and say so, nothing is half-written, everything that was there
//! still works; and creates work again when there is room. On a small tmpfs, where mounting is allowed;
//! where not, the store's own test (`max_page_count`) has to do.

use std::path::Path;
use std::process::Command;

use gatekey_e2e::{Start, command, reason};
use gatekey_proto::v1::{CreateTokenRequest, TokenType, Verdict};
use tempfile::TempDir;
use tonic::Code;

/// A small file system; unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path()).then_some(Self { folder })
    }

    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=16m"], self.folder.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a file may still be open for a moment.
        Command::new("umount").arg("-l").arg(self.folder.path()).status().ok();
    }
}

fn mount(args: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(args).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}

fn create(number: usize) -> CreateTokenRequest {
    CreateTokenRequest {
        name: format!("{number} {}", "x".repeat(200)),
        r#type: TokenType::Batch.into(),
        years_valid: 1,
        request_id: String::new(),
    }
}

/// A server may write there, too.
#[test]
fn a_backup_takes_no_room_that_a_server_needs() {
    let Some(disk) = SmallDisk::mount() else {
        println!("mounting is not allowed here");
        return;
    };
    let data = ["--data-dir", disk.folder.path().to_str().expect("text")];
    assert!(command([&["migrate"], &data[..]].concat(), "").well().out.contains("up to date now"));
    let said = command([&["backup", "-"], &data[..]].concat(), "");
    assert!(said.code == Some(1) && said.out.is_empty(), "{said:?}");
    assert!(said.err.contains("would leave too little room on its disk: 17 MiB are needed"), "{said:?}");
    let left = std::fs::read_dir(disk.folder.path())
        .expect("the folder")
        .map(|file| file.expect("a file").file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("partial")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_passes() {
    let Some(disk) = SmallDisk::mount() else {
        println!("mounting is not allowed here: see the test of `max_page_count` in the store");
        return;
    };
    let server = Start::in_folder(disk.folder.path()).args(["--tokens-per-tenant", "1000000"]).start();
    let client = server.client(disk.folder.path(), &["developer", "verifier"], "acme");
    let mut values = Vec::new();
    let status = loop {
        match client.create(create(values.len())).await {
            Ok(created) => values.push(created.token_value),
            Err(status) => break status,
        }
        assert!(values.len() < 100_000, "a mebibyte does not hold this many");
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "gatekey/STORE_FULL"));
    assert!(!values.is_empty());

    let mut listed = 0;
    let mut page_token = String::new();
    loop {
        let page = client.list(1_000, &page_token).await.expect("reading needs no room");
        listed += page.tokens.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, values.len(), "nothing is lost and nothing half-written");
    assert_eq!(client.verdict(&values[0]).await, Verdict::Active);

    disk.grow();
    let created = client.create(create(0)).await.expect("there is room again");
    assert_eq!(client.verdict(&created.token_value).await, Verdict::Active);
    let newest = &client.list(1, "").await.expect("a list").tokens[0];
    client.delete(newest.id).await.expect("deleted");
    assert_eq!(client.verdict(&created.token_value).await, Verdict::Revoked);
}
