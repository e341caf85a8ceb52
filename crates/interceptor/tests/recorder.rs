//! A recorder of metrics that panics costs its figures, and no verification. It is a process's only one, so it has this
//! test's process for itself.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use gatekey_interceptor::{FakeGatekey, Rule, TokenType};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

struct Broken(Mutex<Sender<()>>);

impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.0.lock().expect("nothing under this lock panics").send(()).ok();
        panic!("a recorder that is broken")
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn a_recorder_that_panics_costs_no_verification() {
    let (called, calls) = channel();
    metrics::set_global_recorder(Broken(Mutex::new(called))).expect("the first");
    let fake = FakeGatekey::start();
    calls.recv_timeout(Duration::from_mins(1)).expect("in time");
    for _ in 0..100 {
        let value = fake.token(TokenType::Batch).mint();
        fake.gatekey().verify(&value, Rule::Batch).await.expect("good");
    }
}
