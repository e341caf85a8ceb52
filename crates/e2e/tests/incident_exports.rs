//! What is missing among exports of revocations is noticed before anything of them is replayed.

use gatekey_e2e::{Said, Start, command};
use tempfile::TempDir;

const LEASE: [&str; 2] = ["--lease", "2"];

/// The store by its flags.
fn run(store: &[&str], args: &[&str], input: &str) -> Said {
    tokio::task::block_in_place(|| command([args, store].concat(), input))
}

/// Each of them is whole; only together they show that one is missing, and with the database that it was the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_export_is_noticed() {
    let folder = TempDir::new().expect("a folder");
    let [data, older] = ["data", "older"].map(|name| folder.path().join(name));
    let [store, older] = [&data, &older].map(|folder| ["--data-dir", folder.to_str().expect("text")]);
    assert!(run(&older, &["migrate"], "").well().out.contains("up to date now"));
    let mut server = Start::in_folder(&data).args(LEASE).start();
    let client = server.client(&data, &["developer"], "acme");
    let mut exports = Vec::new();
    for after in ["0", "1", "2"] {
        let (token, _) = client.create_batch("one").await;
        client.delete(token.id).await.expect("deleted");
        exports.push(run(&store, &["revocations", "export", "--after", after], "").well().out);
    }
    drop(client);
    tokio::task::block_in_place(|| server.terminate());

    let replay = |store: &[&str], args: &[&str], input: &[&str]| {
        run(store, &[&["revocations", "replay", "-"], args].concat(), &input.concat())
    };
    for (pieces, missing) in
        [(&[0, 2][..], "revocations 2 to 2 of"), (&[2], "1 to 2 of"), (&[1], "1 to 1 of")]
    {
        let pieces: Vec<&str> = pieces.iter().map(|piece| exports[*piece].as_str()).collect();
        let refused = replay(&older, &[], &pieces);
        assert!(refused.code == Some(1) && refused.out.is_empty(), "{refused:?}");
        assert!(refused.err.contains(missing) && refused.err.contains("has come to 0"), "{refused:?}");
        let partial = replay(&older, &["--partial"], &pieces).well();
        assert!(partial.out.contains(" 0 already"), "{partial:?}");
    }
    let all = [exports[2].as_str(), &exports[0], &exports[1]];
    let whole = replay(&older, &[], &all).well();
    assert!(whole.out.contains("1 to 3\n0 revoked, 0 already, 3 unknown, 0 malformed"), "{whole:?}");

    // The database has what came before it, and a line that can't be read is not passed over.
    let newest = replay(&store, &[], &all[..1]).well();
    assert!(newest.out.contains("3 to 3\n0 revoked, 1 already"), "{newest:?}");
    for store in [&store, &older] {
        let odd = replay(store, &["--partial"], &["odd\n", &exports[0], "cut o"]);
        assert_eq!(odd.code, Some(1), "{odd:?}");
        for said in ["malformed     line 1 is", "malformed     line 4 is", ", 2 malformed"] {
            assert!(odd.out.contains(said), "{odd:?}");
        }
        assert!(odd.err.contains("none of an export in 2 lines (1, 4)"), "{odd:?}");
    }
}
