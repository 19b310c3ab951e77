//! Sessions on loopback, with a clock of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, socket_keepalive, tcp_nodelay};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, connect, listen, send, socket_with,
};
use usherd_model::failure::{Attempt, Errno as ModelErrno};
use usherd_model::slots::Key;

use super::*;
use crate::clock;

/// Nothing here takes so long; who waits longer waits for ever.
const LONGEST: Duration = Duration::from_secs(30);

struct Rig {
    poller: Poller,
    redirects: Redirects,
    now: Tick,
    events: Vec<Event>,
    next: u64,
}

impl Rig {
    fn new() -> Self {
        Self {
            poller: Poller::new().expect("epoll"),
            redirects: Redirects::default(),
            now: clock::now(),
            events: Vec::new(),
            next: 0,
        }
    }

    fn begin(&mut self, caller: impl Into<OwnedFd>, targets: &[SocketAddr]) -> SessionId {
        self.next += 1;
        let id = Key::unpack(self.next);
        let targets = Targets::new(targets.iter().copied()).expect("targets");
        let news = self.redirects.begin(id, caller.into(), targets, &self.poller, self.now);
        self.events.extend(news.map(|news| news.event));
        id
    }

    /// One turn of the loop. Returns how many things the poller had to say.
    fn turn(&mut self, wait: Duration) -> usize {
        let wait = if self.redirects.has_work() { Duration::ZERO } else { wait };
        self.poller.wait(Some(wait)).expect("epoll");
        for index in 0..self.poller.len() {
            let (token, ready) = self.poller.event(index).expect("an event");
            if let Token::RedirectCaller(id) = token {
                self.redirects.note(id, Which::Caller, ready);
            } else if let Token::RedirectTarget(id) = token {
                self.redirects.note(id, Which::Target, ready);
            }
        }
        let mut news = Vec::new();
        self.redirects.work(&self.poller, self.now, &mut news);
        self.redirects.expire(&self.poller, self.now, &mut news);
        self.events.extend(news.into_iter().map(|news| news.event));
        self.poller.len()
    }

    fn until<T>(&mut self, mut is_so: impl FnMut(&mut Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(value) = is_so(self) {
                return value;
            }
            assert!(began.elapsed() < LONGEST, "it never happens; so far: {:?}", self.events);
            self.turn(Duration::from_millis(5));
        }
    }

    /// The next thing that is told.
    fn told(&mut self) -> Event {
        self.until(|rig| if rig.events.is_empty() { None } else { Some(rig.events.remove(0)) })
    }

    /// Time passes, and what is due happens.
    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.turn(Duration::ZERO);
    }

    /// Does all that can be done without anybody else.
    fn settle(&mut self) {
        self.until(
            |rig| if rig.turn(Duration::ZERO) == 0 && !rig.redirects.has_work() { Some(()) } else { None },
        );
    }

    /// While nobody does anything, the loop sleeps, and no session has a pipe.
    fn assert_quiet(&mut self) {
        self.settle();
        // A late acknowledgement may be told.
        let is_woken = |_: &u32| self.turn(Duration::from_millis(30)) > 0 || self.redirects.has_work();
        assert!((0..10).take_while(is_woken).count() < 10, "the loop is woken for nothing");
        assert_eq!(self.redirects.tools.pipes.taken(), 0, "an idle session has a pipe");
    }

    /// A caller, its session, and its target.
    fn session(&mut self) -> (SessionId, TcpStream, TcpStream) {
        let back = listener();
        let (caller, accepted) = pair();
        let id = self.begin(accepted, &[address(&back)]);
        assert_eq!(format!("{:?}", self.told()), format!("{:?}", Event::Reached(id, address(&back))));
        let (target, _) = back.accept().expect("the session's call");
        (id, patient(caller), patient(target))
    }

    /// How a session ends.
    fn ended(&mut self) -> (Traffic, Ending) {
        let Event::RedirectEnded(_, traffic, ending) = self.told() else { panic!("an end") };
        assert_eq!((self.redirects.count, self.redirects.timers.len()), (0, 0));
        assert_eq!(self.redirects.tools.pipes.taken(), 0);
        (traffic, ending)
    }

    /// Reads exactly this on a stream while the loop runs.
    fn expect(&mut self, stream: &mut TcpStream, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        let mut length = 0;
        stream.set_nonblocking(true).expect("fcntl");
        self.until(|_| match stream.read(&mut got[length..]) {
            Ok(0) => panic!("it ended after {length} bytes"),
            Ok(more) => {
                length += more;
                if length == bytes.len() { Some(()) } else { None }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        assert!(got == bytes, "other bytes came");
        stream.set_nonblocking(false).expect("fcntl");
    }

    /// What comes next on a stream while the loop runs: bytes, the end, or an error.
    fn next_read(&mut self, stream: &mut TcpStream) -> Result<usize, ErrorKind> {
        stream.set_nonblocking(true).expect("fcntl");
        let got = self.until(|_| match stream.read(&mut [0; 1024]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            got => Some(got.map_err(|error| error.kind())),
        });
        stream.set_nonblocking(false).expect("fcntl");
        got
    }
}

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("getsockname")
}

/// Both ends of a connection, the accepted one second.
fn pair() -> (TcpStream, TcpStream) {
    let front = listener();
    let caller = TcpStream::connect(address(&front)).expect("connect");
    (caller, front.accept().expect("accept").0)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LONGEST)).expect("setsockopt");
    stream.set_write_timeout(Some(LONGEST)).expect("setsockopt");
    stream
}

/// Closes a connection as if it had broken.
fn reset(stream: TcpStream) {
    set_socket_linger(&stream, Some(Duration::ZERO)).expect("setsockopt");
    drop(stream);
}

/// A port of this machine where nobody listens.
fn nobody() -> SocketAddr {
    address(&listener())
}

/// A listener that takes no call any more, since its backlog is full; it stays so while the streams live.
fn deaf() -> (OwnedFd, SocketAddr, Vec<TcpStream>) {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("socket");
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bind");
    listen(&socket, 0).expect("listen");
    let listener = TcpListener::from(socket);
    let address = address(&listener);
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (listener.into(), address, waiting)
}

const REFUSED: ModelErrno = ModelErrno(Errno::CONNREFUSED.raw_os_error());
const TIMED_OUT: ModelErrno = ModelErrno(Errno::TIMEDOUT.raw_os_error());
const RESET: ModelErrno = ModelErrno(Errno::CONNRESET.raw_os_error());

/// An endless stream repeats after so many bytes: a prime, so that nothing that is lost, doubled or moved fits again.
const PERIOD: usize = 1_000_003;

/// The part of an endless stream that begins anywhere within the first period, and is as long as a period.
fn pattern(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let period = (0..PERIOD).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    });
    let period: Vec<u8> = period.collect();
    period.repeat(2)
}

fn write_stream(stream: &mut TcpStream, length: usize, seed: u64) {
    let pattern = pattern(seed);
    let mut at = 0;
    while at < length {
        let piece = (length - at).min(64 * 1024);
        stream.write_all(&pattern[at % PERIOD..][..piece]).expect("the reader is there");
        at += piece;
    }
}

/// Reads to the end in pieces of a size, and returns how long the stream was.
fn read_stream(stream: &mut TcpStream, piece: usize, seed: u64) -> usize {
    let pattern = pattern(seed);
    let mut buffer = vec![0; piece];
    let mut at = 0;
    loop {
        let got = stream.read(&mut buffer).expect("the stream goes on or ends");
        if got == 0 {
            return at;
        }
        assert!(buffer[..got] == pattern[at % PERIOD..][..got], "a wrong byte near {at}");
        at += got;
    }
}

#[test]
fn both_directions_are_passed_on_and_counted() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    for round in 0..3_u8 {
        caller.write_all(&[round; 10]).expect("write");
        rig.expect(&mut target, &[round; 10]);
        target.write_all(&[round; 100]).expect("write");
        rig.expect(&mut caller, &[round; 100]);
        rig.assert_quiet();
    }
    drop(caller);
    assert_eq!(rig.next_read(&mut target), Ok(0));
    drop(target);
    assert_eq!(rig.ended(), (Traffic { received: 30, sent: 300 }, Ending::Complete));
}

#[test]
fn what_comes_before_the_target_answers_is_not_lost() {
    let mut rig = Rig::new();
    let back = listener();
    let (mut caller, accepted) = pair();
    caller.write_all(b"early").expect("write");
    caller.shutdown(Shutdown::Write).expect("shutdown");
    rig.begin(accepted, &[address(&back)]);
    let mut target = patient(back.accept().expect("accept").0);
    rig.expect(&mut target, b"early");
    assert_eq!(rig.next_read(&mut target), Ok(0));
}

#[test]
fn a_caller_that_has_said_all_is_answered() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    caller.write_all(b"question").expect("write");
    caller.shutdown(Shutdown::Write).expect("shutdown");
    rig.expect(&mut target, b"question");
    assert_eq!(rig.next_read(&mut target), Ok(0));
    rig.assert_quiet();
    target.write_all(b"answer").expect("write");
    drop(target);
    rig.expect(&mut caller, b"answer");
    assert_eq!(rig.next_read(&mut caller), Ok(0));
    assert_eq!(rig.ended(), (Traffic { received: 8, sent: 6 }, Ending::Complete));
}

#[test]
fn a_target_that_has_said_all_is_told_more() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    target.write_all(b"hello").expect("write");
    target.shutdown(Shutdown::Write).expect("shutdown");
    rig.expect(&mut caller, b"hello");
    assert_eq!(rig.next_read(&mut caller), Ok(0));
    rig.assert_quiet();
    caller.write_all(b"and more").expect("write");
    rig.expect(&mut target, b"and more");
    drop(caller);
    assert_eq!(rig.ended(), (Traffic { received: 8, sent: 5 }, Ending::Complete));
}

/// Each byte of 64 MiB in both directions at once arrives, one of them at a reader who takes little at a time.
fn much_in_both_directions(mut rig: Rig, length: usize) {
    let (_, caller, target) = rig.session();
    let (mut reads, mut writes) = (caller.try_clone().expect("dup"), caller);
    let (mut target_reads, mut target_writes) = (target.try_clone().expect("dup"), target);
    let all = [
        std::thread::spawn(move || {
            write_stream(&mut writes, length, 1);
            writes.shutdown(Shutdown::Write).expect("shutdown");
            0
        }),
        std::thread::spawn(move || {
            write_stream(&mut target_writes, length, 2);
            target_writes.shutdown(Shutdown::Write).expect("shutdown");
            0
        }),
        std::thread::spawn(move || read_stream(&mut reads, 1000, 2)),
        std::thread::spawn(move || read_stream(&mut target_reads, 100_000, 1)),
    ];
    let ended = rig.ended();
    let read: Vec<usize> = all.into_iter().map(|one| one.join().expect("no wrong byte")).collect();
    assert_eq!(read, [0, 0, length, length]);
    let length = u64::try_from(length).expect("small");
    assert_eq!(ended, (Traffic { received: length, sent: length }, Ending::Complete));
}

#[test]
fn much_is_passed_on_in_both_directions_at_once_to_a_slow_reader() {
    much_in_both_directions(Rig::new(), 64 * 1024 * 1024);
}

#[test]
fn without_pipes_it_is_passed_on_as_well() {
    let mut rig = Rig::new();
    rig.redirects.tools.pipes = pipes::Pipes::at_most(0);
    let (_, mut caller, mut target) = rig.session();
    caller.write_all(b"small").expect("write");
    rig.expect(&mut target, b"small");
    let mut rig = Rig::new();
    rig.redirects.tools.pipes = pipes::Pipes::at_most(0);
    much_in_both_directions(rig, 8 * 1024 * 1024);
}

#[test]
fn a_reset_of_the_caller_reaches_the_target() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    caller.write_all(b"half a").expect("write");
    rig.expect(&mut target, b"half a");
    reset(caller);
    assert_eq!(rig.ended(), (Traffic { received: 6, sent: 0 }, Ending::CallerLost(RESET)));
    assert_eq!(rig.next_read(&mut target), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_reset_of_the_target_reaches_the_caller_behind_what_it_said_before() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    // Both are there when the session looks.
    target.write_all(&[7; 40_000]).expect("write");
    reset(target);
    assert_eq!(rig.ended(), (Traffic { received: 0, sent: 40_000 }, Ending::TargetLost(RESET)));
    rig.expect(&mut caller, &[7; 40_000]);
    assert_eq!(rig.next_read(&mut caller), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_target_that_goes_while_it_is_written_to_is_heard_to_its_end() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    caller.write_all(b"a question that nobody reads").expect("write");
    target.write_all(b"no!").expect("write");
    // The question is there and unread: the kernel resets the connection.
    rig.settle();
    drop(target);
    rig.expect(&mut caller, b"no!");
    assert_eq!(rig.next_read(&mut caller), Err(ErrorKind::ConnectionReset));
    let (traffic, ending) = rig.ended();
    assert_eq!((traffic.sent, ending), (3, Ending::TargetLost(RESET)));
}

#[test]
fn a_target_that_refuses_closes_the_caller_and_says_why() {
    let mut rig = Rig::new();
    let (mut caller, accepted) = pair();
    let target = nobody();
    let id = rig.begin(accepted, &[target]);
    let Event::NotReached(told, NotReached::Failed(attempts)) = rig.told() else { panic!("a failure") };
    assert_eq!((told, &*attempts), (id, &[Attempt { target, errno: REFUSED }][..]));
    assert_eq!(rig.next_read(&mut caller), Ok(0));
    assert_eq!((rig.redirects.count, rig.redirects.timers.len(), rig.redirects.queue.len()), (0, 0, 0));
}

#[test]
fn the_next_address_is_tried() {
    let mut rig = Rig::new();
    let back = listener();
    let (_caller, accepted) = pair();
    // The first is for documentation only, where a machine has a way to it at all.
    let id = rig.begin(accepted, &[nobody(), address(&back)]);
    let Event::Reached(told, target) = rig.told() else { panic!("it is reached") };
    assert_eq!((told, target), (id, address(&back)));
    assert_eq!(rig.deadline(), None);
}

impl Rig {
    fn deadline(&self) -> Option<Duration> {
        self.redirects.deadline().map(|at| at.since(self.now))
    }
}

#[test]
fn a_target_that_hangs_costs_its_caller_ten_seconds_and_nobody_else() {
    let mut rig = Rig::new();
    let (_deaf, target, _waiting) = deaf();
    let (mut caller, accepted) = pair();
    let id = rig.begin(accepted, &[target]);
    let (_, mut other, mut back) = rig.session();
    other.write_all(b"meanwhile").expect("write");
    rig.expect(&mut back, b"meanwhile");
    rig.pass(calling::PATIENCE - Duration::from_millis(1));
    assert!(rig.events.is_empty());
    assert_eq!(rig.deadline(), Some(Duration::from_millis(1)));
    rig.pass(Duration::from_millis(1));
    let Event::NotReached(told, NotReached::Failed(attempts)) = rig.told() else { panic!("a failure") };
    assert_eq!((told, &*attempts), (id, &[Attempt { target, errno: TIMED_OUT }][..]));
    assert_eq!(rig.next_read(&mut caller), Ok(0));
}

#[test]
fn addresses_that_hang_share_the_time() {
    let mut rig = Rig::new();
    let (_deaf, first, _waiting) = deaf();
    let back = listener();
    let (_caller, accepted) = pair();
    rig.begin(accepted, &[first, nobody(), address(&back)]);
    assert_eq!(rig.deadline(), Some(calling::PATIENCE / 3));
    rig.pass(calling::PATIENCE / 3);
    let Event::Reached(_, target) = rig.told() else { panic!("it is reached") };
    assert_eq!(target, address(&back));
}

#[test]
fn a_caller_that_breaks_off_while_the_target_is_called_ends_that() {
    let mut rig = Rig::new();
    let (_deaf, target, _waiting) = deaf();
    let (caller, accepted) = pair();
    rig.begin(accepted, &[target]);
    rig.settle();
    reset(caller);
    assert_eq!(rig.ended(), (Traffic::default(), Ending::CallerLost(RESET)));
}

#[test]
fn nobody_is_connected_with_itself() {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("socket");
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bind");
    let own = TcpStream::from(socket);
    let address = own.local_addr().expect("getsockname");
    connect(&own, &address).expect("TCP allows that");
    assert!(calling::is_ourselves(&own.into(), address));
    let (caller, _accepted) = pair();
    let peer = caller.peer_addr().expect("getpeername");
    assert!(!calling::is_ourselves(&caller.into(), peer));
}

#[test]
fn a_flood_leaves_the_others_their_turn() {
    let mut rig = Rig::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut floods = Vec::new();
    for _ in 0..3 {
        let (_, mut caller, mut target) = rig.session();
        let stop = Arc::clone(&is_over);
        floods.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && target.write_all(&[0; 256 * 1024]).is_ok() {}
        }));
        floods.push(std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while caller.read(&mut buffer).is_ok_and(|got| got > 0) {}
        }));
    }
    let (_, mut caller, mut target) = rig.session();
    for _ in 0..200 {
        caller.write_all(b"are you there?").expect("write");
        rig.expect(&mut target, b"are you there?");
        target.write_all(b"yes").expect("write");
        rig.expect(&mut caller, b"yes");
    }
    let passed =
        |rig: &Rig| rig.redirects.open.iter().map(|(_, session)| session.outward.passed()).sum::<u64>();
    let mut most = 0;
    for _ in 0..200 {
        let before = passed(&rig);
        rig.turn(Duration::from_millis(5));
        most = most.max(passed(&rig) - before);
    }
    let bound = u64::try_from(TURN + SHARE + pipes::CAPACITY).expect("small");
    assert!(most > 0 && most <= bound, "{most} bytes in one turn");
    is_over.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        rig.ended_among_others();
    }
    drop((caller, target));
    rig.ended();
    for flood in floods {
        flood.join().expect("no panic");
    }
}

impl Rig {
    fn ended_among_others(&mut self) {
        assert!(matches!(self.told(), Event::RedirectEnded(..)));
    }
}

#[test]
fn readers_that_stall_bind_no_more_than_the_pipes_there_are() {
    let mut rig = Rig::new();
    rig.redirects.tools.pipes = pipes::Pipes::at_most(2);
    let mut stalled = Vec::new();
    for _ in 0..4 {
        let (_, caller, mut target) = rig.session();
        set_socket_recv_buffer_size(&caller, 4096).expect("setsockopt");
        target.set_nonblocking(true).expect("fcntl");
        let mut room = 0;
        // Until nothing moves any more.
        while room < 3 {
            match target.write(&[0; 256 * 1024]) {
                Ok(_) => room = 0,
                Err(error) if error.kind() == ErrorKind::WouldBlock => room += 1,
                Err(error) => panic!("{error}"),
            }
            rig.settle();
        }
        stalled.push((caller, target));
    }
    assert_eq!(rig.redirects.tools.pipes.taken(), 2);
    let (_, mut caller, mut target) = rig.session();
    caller.write_all(b"and I?").expect("write");
    rig.expect(&mut target, b"and I?");
}

#[test]
fn an_urgent_mark_holds_nothing_up() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    let urgent = |stream: &TcpStream| send(stream, b"!", SendFlags::OOB).expect("send");
    caller.write_all(b"abc").expect("write");
    urgent(&caller);
    caller.write_all(b"def").expect("write");
    rig.expect(&mut target, b"abcdef");
    // And in the middle of a stream.
    let much = vec![3; 40 * PIECE];
    caller.write_all(&much).expect("write");
    urgent(&caller);
    caller.write_all(&much).expect("write");
    rig.expect(&mut target, &[&*much, &*much].concat());
    rig.assert_quiet();
}

#[test]
fn who_is_silent_after_the_other_has_said_all_is_ended() {
    let mut rig = Rig::new();
    let (_, mut caller, mut target) = rig.session();
    target.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(rig.next_read(&mut caller), Ok(0));
    rig.settle();
    assert_eq!(rig.deadline(), Some(HALF_CLOSED));
    rig.pass(HALF_CLOSED - Duration::from_secs(1));
    caller.write_all(b"still here").expect("write");
    rig.expect(&mut target, b"still here");
    rig.pass(HALF_CLOSED - Duration::from_secs(1));
    assert!(rig.events.is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.ended(), (Traffic { received: 10, sent: 0 }, Ending::Silent));
}

#[test]
fn a_session_may_be_silent_for_as_long_as_it_likes() {
    let mut rig = Rig::new();
    let (id, mut caller, mut target) = rig.session();
    assert_eq!(rig.deadline(), None);
    rig.pass(Duration::from_secs(1_000_000));
    caller.write_all(b"hello again").expect("write");
    rig.expect(&mut target, b"hello again");
    assert!(rig.events.is_empty());
    let news = rig.redirects.end(id, Ending::Stopped).expect("it is there");
    assert!(rig.redirects.end(id, Ending::Stopped).is_none());
    assert!(matches!(
        news.event,
        Event::RedirectEnded(_, Traffic { received: 11, sent: 0 }, Ending::Stopped)
    ));
    drop(news);
    assert_eq!(rig.next_read(&mut caller), Ok(0));
}

#[test]
fn the_sockets_are_as_they_should_be() {
    let mut rig = Rig::new();
    let (id, _caller, _target) = rig.session();
    let session = rig.redirects.open.get(id).expect("it is there");
    for socket in [&session.caller.socket, &session.target.socket] {
        assert!(socket.as_raw_fd() >= crate::descriptors::FIRST_LONG_LIVED);
        assert_eq!(fcntl_getfd(socket), Ok(FdFlags::CLOEXEC));
    }
    let target = &session.target.socket;
    assert_eq!((socket_keepalive(target), tcp_nodelay(target)), (Ok(true), Ok(true)));
    assert_eq!(rig.redirects.descriptors(), 2);
}

#[test]
fn the_families_of_both_ends_may_differ() {
    let Ok(back) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("skipped: needs IPv6");
        return;
    };
    let mut rig = Rig::new();
    let (mut caller, accepted) = pair();
    rig.begin(accepted, &[address(&back)]);
    assert!(matches!(rig.told(), Event::Reached(..)));
    let mut target = back.accept().expect("accept").0;
    caller.write_all(b"4 to 6").expect("write");
    rig.expect(&mut target, b"4 to 6");
}

#[test]
fn a_caller_may_come_over_a_unix_socket() {
    let mut rig = Rig::new();
    let back = listener();
    let (mut caller, accepted) = UnixStream::pair().expect("socketpair");
    caller.set_read_timeout(Some(LONGEST)).expect("setsockopt");
    rig.begin(accepted, &[address(&back)]);
    assert!(matches!(rig.told(), Event::Reached(..)));
    let mut target = patient(back.accept().expect("accept").0);
    let much = pattern(3)[..300_000].to_vec();
    let (tell, told) = mpsc::channel();
    let sent = much.clone();
    std::thread::spawn(move || {
        caller.write_all(&sent).expect("write");
        let mut back = vec![0; sent.len()];
        caller.read_exact(&mut back).expect("read");
        tell.send(back == sent).expect("somebody waits");
    });
    rig.expect(&mut target, &much);
    let answer = much.clone();
    std::thread::spawn(move || target.write_all(&answer).map(|()| target));
    assert!(rig.until(|_| told.try_recv().ok()), "the same comes back");
}
