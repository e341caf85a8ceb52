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

/// A copy went on beside what it was made of, as after a restore: the numbers of the log are used again, for other revocations.
#[tokio::test(flavor = "multi_thread")]
async fn exports_of_another_history_do_not_join() {
    let folder = TempDir::new().expect("a folder");
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let [store, other] = [&one, &two].map(|folder| ["--data-dir", folder.to_str().expect("text")]);
    let export =
        |store: &[&str], after| run(store, &["revocations", "export", "--after", after], "").well().out;
    let mut server = Start::in_folder(&one).args(LEASE).start();
    let revoke = async |client: &gatekey_e2e::Client| {
        let (token, _) = client.create_batch("one").await;
        client.delete(token.id).await.expect("deleted");
    };
    let client = server.client(&one, &["developer"], "acme");
    revoke(&client).await;
    let common = export(&store, "0");
    std::fs::create_dir(&two).expect("a folder");
    let copy = two.join("gatekey.db");
    let made = run(&store, &["backup", copy.to_str().expect("text")], "").well();
    assert!(made.out.contains("up to 1"), "{made:?}");
    revoke(&client).await;
    let here = export(&store, "1");
    drop(client);
    tokio::task::block_in_place(|| server.terminate());

    let mut server = Start::in_folder(&two).args(LEASE).start();
    let client = server.client(&two, &["developer"], "acme");
    revoke(&client).await;
    let there = export(&other, "1");
    revoke(&client).await;
    let later = export(&other, "2");
    drop(client);
    tokio::task::block_in_place(|| server.terminate());

    let replay = |store: &[&str], args: &[&str], input: &[&str]| {
        run(store, &[&["revocations", "replay", "-"], args].concat(), &input.concat())
    };
    for (store, exports, said) in [
        // They seem to have 1 to 3.
        (&store, &[&common, &here, &later][..], "number 2 of the log stands for two revocations"),
        (&other, &[&here, &there], "number 2 of the log stands for two revocations"),
        // This one has come to number 2 as well, and not to that one.
        (&store, &[&later], "begin after number 2 of the log, where this database has another revocation"),
    ] {
        let exports: Vec<&str> = exports.iter().map(|export| export.as_str()).collect();
        let refused = replay(store, &[], &exports);
        assert!(refused.code == Some(1) && refused.out.is_empty(), "{refused:?}");
        assert!(refused.err.contains(said) && refused.err.contains("nothing was replayed"), "{refused:?}");
        let partial = replay(store, &["--partial"], &exports).well();
        assert!(partial.out.contains("0 revoked"), "{partial:?}");
    }
    let joined = replay(&other, &[], &[&common, &there, &later]).well();
    assert!(joined.out.contains("1 to 3\n0 revoked, 3 already"), "{joined:?}");
}
