//! Carries the bytes of one connection, as its link lets them pass, and the news of its end likewise.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Flow, Link};

/// As many bytes as are carried at once.
const CHUNK: usize = 16 * 1024;

/// One of the two ways, and the way back.
#[derive(Clone, Copy)]
struct Way {
    there: fn(&Link) -> Flow,
    back: fn(&Link) -> Flow,
}

const UP: Way = Way { there: |link| link.up, back: |link| link.down };
const DOWN: Way = Way { there: UP.back, back: UP.there };

/// Until both ends have said all, or one of them breaks.
pub(super) async fn both_ways(mut client: TcpStream, mut upstream: TcpStream, link: watch::Receiver<Link>) {
    // Without it, a delay of the operating system's would come on top.
    client.set_nodelay(true).ok();
    upstream.set_nodelay(true).ok();
    let (from_client, to_client) = client.split();
    let (from_upstream, to_upstream) = upstream.split();
    let up = one_way(UP, from_client, to_upstream, link.clone());
    let down = one_way(DOWN, from_upstream, to_client, link);
    // An error is the end of the connection, and nothing to report: that is what links do here.
    let _ended = tokio::try_join!(up, down);
}

async fn one_way(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await;
        let now = (way.there)(&link.borrow());
        if let Flow::Delay(by) = now {
            sleep(by).await;
        }
        // A chunk that came before the stall, but was not carried yet, is held back as well.
        passes(&mut link, way.there).await?;
        let read = read?;
        let written = if read == 0 { to.shutdown().await } else { to.write_all(&buffer[..read]).await };
        if written.is_err() {
            // That the far end is gone is news that has to come back.
            passes(&mut link, way.back).await?;
        }
        written?;
        if read == 0 {
            return Ok(());
        }
    }
}

async fn passes(link: &mut watch::Receiver<Link>, flow: fn(&Link) -> Flow) -> io::Result<()> {
    link.wait_for(|link| flow(link) != Flow::Stall).await.map_err(io::Error::other)?;
    Ok(())
}
