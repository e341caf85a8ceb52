//! Which addresses are known, and for how long.

use tokio::time::{Instant, timeout};

use super::super::book::{Book, Entry};
use super::*;
use crate::FakeGatekey;

fn remote(names: &[&str]) -> (Remote, Arc<Book>) {
    let book = Arc::new(Book::default());
    let endpoints = names.iter().map(|name| Endpoint::parse(&format!("http://{name}:1")).expect("good"));
    let remote = Remote::new(
        endpoints.collect(),
        Credentials::given("a.jwt").expect("good"),
        Names::Book(Arc::clone(&book)),
        #[cfg(feature = "tls")]
        None,
    );
    (remote, book)
}

fn at(port: u16) -> Entry {
    Entry::At(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn ports(targets: &[Arc<Target>]) -> Vec<u16> {
    targets.iter().map(|target| target.made_of.address.port()).collect()
}

#[tokio::test]
async fn names_are_looked_up_again_where_one_could_not_be_or_nobody_was_there() {
    let fake = FakeGatekey::start();
    let shared = fake.gatekey();
    let (remote, book) = remote(&["one", "two"]);
    book.write("one", at(1));
    book.write("two", Entry::Fails);
    assert_eq!(ports(&remote.resolve(shared.shared()).await), [1]);
    book.write("two", at(2));
    assert_eq!(ports(&remote.resolve(shared.shared()).await), [1, 2]);
    book.write("one", at(3));
    assert_eq!(ports(&remote.resolve(shared.shared()).await), [1, 2], "that was just looked up");
    remote.forget();
    book.write("two", Entry::Fails);
    assert_eq!(ports(&remote.resolve(shared.shared()).await), [3, 2], "what it was known for is kept");
}

#[tokio::test(start_paused = true)]
async fn questions_find_servers_that_came_after_the_stream_was_opened() {
    let fake = FakeGatekey::start();
    let shared = fake.gatekey();
    let (remote, book) = remote(&["one"]);
    book.write("one", at(1));
    remote.resolve(shared.shared()).await;
    book.write("one", at(2));
    let begin = Instant::now();
    timeout(RESOLVED * 3 / 2, remote.refresh(shared.shared())).await.expect_err("it goes on for ever");
    assert_eq!(begin.elapsed(), RESOLVED * 3 / 2);
    assert_eq!(ports(&remote.targets(RESOLVED).await), [2]);
    assert_eq!(*book.looks.borrow(), 2);
}
