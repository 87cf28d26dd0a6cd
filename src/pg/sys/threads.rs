//! Threads in a backend besides the main thread. They do not touch Postgres.

use std::cell::{Cell, RefCell};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;

use pgrx::{pg_guard, pg_sys};

use crate::error::Error;
use crate::pg::error::Result;

/// How many threads a session has at most. Each one waits for a server, and they need little time of a processor.
const MAX_THREADS: usize = 16;
const WAIT_MILLISECONDS: i64 = 20;

/// While this value lives, neither this thread nor a thread that it starts receives a signal.
/// Postgres' signal handlers belong to the main thread.
struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    fn all() -> Self {
        // SAFETY: both sets are initialised before they are read.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the mask is the one that was.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}

thread_local! {
    static RUNNING: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// Runs jobs that do not touch Postgres, each in a thread, and returns their results in the order of
/// the jobs. This thread waits and can be cancelled. If it is, no further job begins, and nobody
/// receives the results of those that run. They must end by timeouts of their own.
pub(crate) fn side_by_side<T: Send + 'static, J: FnOnce() -> T + Send + 'static>(
    jobs: impl Iterator<Item = J>,
) -> Result<Vec<T>> {
    let mut jobs = jobs.enumerate().fuse();
    let mut running: Vec<(usize, Receiver<T>)> = Vec::new();
    let mut results: Vec<(usize, T)> = Vec::new();
    loop {
        for (number, job) in jobs.by_ref().take(MAX_THREADS - running.len()) {
            running.push((number, start(job)?));
        }
        if running.is_empty() {
            break;
        }
        wait(WAIT_MILLISECONDS);
        let mut waiting = Vec::new();
        for (number, result) in running {
            match result.try_recv() {
                Ok(result) => results.push((number, result)),
                Err(TryRecvError::Empty) => waiting.push((number, result)),
                Err(TryRecvError::Disconnected) => return Err(Error::bug("a thread ended")),
            }
        }
        running = waiting;
    }
    results.sort_unstable_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn start<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<Receiver<T>> {
    let (sender, result) = channel();
    let thread = {
        let _blocked = BlockedSignals::all();
        std::thread::Builder::new().spawn(move || {
            // If the statement was cancelled, nobody receives the result.
            let _ = sender.send(job());
        })
    };
    end_before_exit(thread.map_err(Error::bug)?);
    Ok(result)
}

/// Makes the backend wait for a thread before it exits, because exit() destroys memory that the
/// thread may use.
fn end_before_exit(thread: JoinHandle<()>) {
    thread_local! {
        static REGISTERED: Cell<bool> = const { Cell::new(false) };
    }
    if !REGISTERED.replace(true) {
        // SAFETY: registers a function that lives as long as the library, which is never unloaded.
        unsafe { pg_sys::on_proc_exit(Some(end_all), pg_sys::Datum::from(0)) };
    }
    RUNNING.with_borrow_mut(|running| {
        running.retain(|thread| !thread.is_finished());
        running.push(thread);
    });
}

/// Waits as Postgres' own functions do. Then raises the error if a cancel or the end of the session
/// was requested.
fn wait(milliseconds: i64) {
    // SAFETY: the backend's own latch.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
            milliseconds,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

#[pg_guard]
unsafe extern "C-unwind" fn end_all(_code: i32, _argument: pg_sys::Datum) {
    for thread in RUNNING.take() {
        // A thread that has panicked has ended, too.
        let _ = thread.join();
    }
}
