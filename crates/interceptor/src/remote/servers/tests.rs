//! Which addresses are known, and for how long.

use gatekey_lease::Digest;
use gatekey_proto::v1::Verdict;
use tokio::time::{Instant, timeout};

use super::super::book::{Book, Entry};
use super::*;
use crate::FakeGatekey;
use crate::scripted::script::{ROOMY, Script, answer, gone};

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

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_as_soon_as_a_server_went_away_but_not_all_the_time() {
    let fake = FakeGatekey::start();
    let shared = fake.gatekey();
    let (remote, book) = remote(&["one"]);
    book.write("one", at(1));
    remote.resolve(shared.shared()).await;
    book.write("one", at(2));
    let go_away = async {
        for _ in 0..9 {
            remote.look_soon();
            sleep(LOOK_AGAIN / 10).await;
        }
    };
    tokio::select! {
        never = remote.refresh(shared.shared()) => match never {},
        () = go_away => {}
    }
    assert_eq!(ports(&remote.targets(RESOLVED).await), [2]);
    assert_eq!(*book.looks.borrow(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_whose_questions_nobody_answers_have_the_names_looked_up_once() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let shared = gatekey.shared();
    let (remote, book) = remote(&["one"]);
    book.write("one", at(1));
    remote.resolve(shared).await;
    book.write("one", at(2));
    let (first, second) = tokio::join!(remote.look_again(shared, ROOMY), remote.look_again(shared, ROOMY));
    assert_eq!((ports(&first), ports(&second), *book.looks.borrow()), (vec![2], vec![2], 2));
    sleep(LOOK_AGAIN).await;
    book.write("one", Entry::Hangs);
    assert_eq!(ports(&remote.look_again(shared, ROOMY).await), [2], "what it was known for is kept");
    assert_eq!(*book.looks.borrow(), 3);
}

#[tokio::test(start_paused = true)]
async fn names_that_hang_are_looked_up_once_a_second_however_many_ask() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let shared = gatekey.shared();
    let (remote, book) = remote(&["one"]);
    book.write("one", at(1));
    remote.resolve(shared).await;
    book.write("one", Entry::Hangs);
    let (patience, begin) = (LOOK_AGAIN / 10, Instant::now());
    while begin.elapsed() < LOOK_AGAIN * 3 {
        let ask = || remote.look_again(shared, patience);
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), sleep(patience));
        for known in [first, second, third] {
            assert_eq!(ports(&known), [1], "what it was known for is kept");
        }
    }
    let looks = *book.looks.borrow();
    assert!((3..=4).contains(&looks), "{looks}: the first, and one a second");
    book.write("one", at(2));
    sleep(LOOK_AGAIN).await;
    assert_eq!(ports(&remote.look_again(shared, patience).await), [2]);
}

#[tokio::test]
async fn a_question_that_no_known_server_answers_goes_to_those_that_came_in_their_place() {
    let fake = FakeGatekey::start();
    let gatekey = fake.gatekey();
    let shared = gatekey.shared();
    let mut script = Script::start().await;
    let (remote, book) = remote(&["one"]);
    book.write("one", Entry::At(gone()));
    remote.resolve(shared).await;
    book.write("one", Entry::At(script.address));
    let ask = remote.ask(shared, Digest([1; 32]), None);
    let reply = async { script.question().await.1.send(Ok(answer(Verdict::Active))).expect("it waits") };
    let (answered, ()) = tokio::join!(ask, reply);
    assert_eq!(answered.expect("an answer").verdict(), Verdict::Active);
}
