//! The JWT that proves the service is replaced while its stream goes on.

use std::path::PathBuf;
use std::sync::Arc;

use super::script::gone;
use super::*;
use crate::remote::Names;
use crate::remote::book::{Book, Entry};

/// In a file, and the time that has to pass until that is read again.
struct Jwt {
    _folder: tempfile::TempDir,
    file: PathBuf,
    clock: Clock,
}

impl Jwt {
    fn new() -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("jwt");
        std::fs::write(&file, "first").expect("written");
        Self { _folder: folder, file, clock: Clock::default() }
    }

    fn connect(&self, endpoints: impl IntoIterator<Item = String>, names: Names) -> Gatekey {
        let builder = Gatekey::builder(endpoints).bearer_file(&self.file);
        builder.clock(self.clock.clone()).names(names).connect().expect("good settings")
    }

    /// With the stream by the first one, at one server.
    async fn connected(&self) -> (Script, Stream, Gatekey) {
        let mut script = Script::start().await;
        let gatekey = self.connect([format!("http://{}", script.address)], Names::default());
        let stream = script.stream().await;
        assert_eq!(stream.authorization.as_deref(), Some("Bearer first"));
        (script, stream, gatekey)
    }

    /// The same under a lease.
    async fn leased(&self) -> (Script, Stream, Gatekey) {
        let (script, mut stream, gatekey) = self.connected().await;
        stream.lease().await;
        timeout(ROOMY, gatekey.leased()).await.expect("in time");
        (script, stream, gatekey)
    }

    fn rotate(&self, later: Duration) {
        std::fs::write(&self.file, "second").expect("written");
        self.clock.advance(later);
    }
}

/// The next stream, by the second JWT. The first goes on until it is there.
async fn second(first: &mut Stream, reset_id: u64, script: &mut Script) {
    let mut second = tokio::select! {
        never = first.keep(reset_id) => match never {},
        second = script.stream() => second,
    };
    assert_eq!(second.authorization.as_deref(), Some("Bearer second"));
    assert_eq!(second.hello().await.stream, 2);
}

#[tokio::test]
async fn a_new_jwt_opens_a_new_stream() {
    let jwt = Jwt::new();
    let (mut script, mut stream, _gatekey) = jwt.connected().await;
    stream.hello().await;
    jwt.rotate(Duration::from_secs(2));
    second(&mut stream, 0, &mut script).await;
}

#[tokio::test]
async fn a_new_jwt_that_nobody_takes_yet_ends_nothing() {
    let jwt = Jwt::new();
    let (mut script, mut stream, gatekey) = jwt.connected().await;
    stream.hello().await;
    stream.reset(1, 0);
    script.refuse(Some("Bearer second"));
    jwt.rotate(Duration::from_secs(1));
    tokio::select! {
        never = stream.keep(1) => match never {},
        () = script.refuses(2) => {}
    }
    // The first stream goes on meanwhile, and so does what proved the service on it.
    let check = check(&gatekey, &value());
    let question = tokio::select! {
        never = stream.keep(1) => match never {},
        question = script.question() => question,
    };
    reply(question, Verdict::Active);
    check.await.expect("no panic").expect("good");
    script.refuse(None);
    second(&mut stream, 1, &mut script).await;
}

/// Its issuer's key was withdrawn: no server takes it any more, though its stream goes on.
#[tokio::test]
async fn a_question_is_asked_by_the_newer_jwt_where_that_of_the_stream_is_taken_no_more() {
    let jwt = Jwt::new();
    let (mut script, _stream, gatekey) = jwt.leased().await;
    script.refuse(Some("Bearer first"));
    jwt.rotate(Duration::from_secs(2));
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

/// The stream by the one before has ended, and it is as good as it was.
#[tokio::test]
async fn the_jwt_that_was_taken_last_is_good_until_another_is_taken() {
    let jwt = Jwt::new();
    let (mut script, stream, gatekey) = jwt.leased().await;
    script.refuse(Some("Bearer second"));
    jwt.rotate(Duration::from_secs(2));
    drop(stream);
    let stream = script.stream().await;
    assert_eq!(stream.authorization.as_deref(), Some("Bearer first"));
    checked(&mut script, &gatekey, &value(), Verdict::Active).await.expect("good");
}

/// Elsewhere, a delete would wait for the lease that it had here.
#[tokio::test]
async fn a_new_jwt_is_shown_to_the_same_server() {
    let jwt = Jwt::new();
    let mut scripts = [Script::start().await, Script::start().await, Script::start().await];
    let book = Arc::new(Book::default());
    for (name, script) in ["one", "two", "three"].into_iter().zip(&scripts) {
        book.write(name, Entry::At(script.address));
    }
    let names = ["more", "one", "two", "three"].map(|name| format!("http://{name}:1"));
    let _gatekey = jwt.connect(names, Names::Book(Arc::clone(&book)));
    let [one, two, three] = &mut scripts;
    let (mut stream, here) = tokio::select! {
        stream = one.stream() => (stream, one),
        stream = two.stream() => (stream, two),
        stream = three.stream() => (stream, three),
    };
    stream.hello().await;
    // From now on it has another place among them.
    book.write("more", Entry::At(gone()));
    jwt.rotate(Duration::from_secs(31));
    second(&mut stream, 0, here).await;
}
