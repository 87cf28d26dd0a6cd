//! Threads in a backend besides the main thread. They do not touch Postgres.

use std::cell::{Cell, RefCell};
use std::thread::JoinHandle;

use pgrx::{pg_guard, pg_sys};

/// While this value lives, neither this thread nor a thread that it starts receives a signal.
/// Postgres' signal handlers belong to the main thread.
pub(crate) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    pub(crate) fn all() -> Self {
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

/// Makes the backend wait for a thread before it exits, because exit() destroys memory that the
/// thread may use.
pub(crate) fn end_before_exit(thread: JoinHandle<()>) {
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
pub(crate) fn wait(milliseconds: i64) {
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
