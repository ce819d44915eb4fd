//! A disk for tests, in memory: its power fails at a sync, its reads and writes fail when told to,
//! and it counts.
//!
//! Every file has what a process sees and what a power cut leaves. A failed sync forgets what was
//! to be written, as Linux does: it stays readable, and never reaches the disk unless it is
//! written again.

use super::{Medium, OpenBackend};
use redb::StorageBackend;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a power cut cannot tear.
const SECTOR: usize = 512;
/// What the system writes back as a whole.
const PAGE: usize = 4096;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The power fails as sync number N begins; the seed says what of the unsynced writes is left:
    /// 0 nothing, 1 all, else some sectors.
    PowerCut(u64, u64),
    /// Write number N fails half-way.
    Write(u64),
    /// Sync number N fails.
    Sync(u64),
    /// From write number N on there is no room, until the fault is lifted.
    Full(u64),
    /// Syncs do nothing.
    Lying,
}

/// A shared handle to the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    fault: Fault,
    syncs: u64,
    writes: u64,
    /// Whether the fault has happened.
    struck: bool,
    sync_time: std::time::Duration,
}

#[derive(Clone, Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl FaultyDisk {
    /// The data folder `folder`, with redb files on this disk.
    pub(crate) fn medium(&self, folder: &Path) -> Medium {
        let disk = self.clone();
        let open: Arc<OpenBackend> = Arc::new(move |name| {
            disk.state().files.entry(name.to_owned()).or_default();
            Ok(Box::new(File { disk: disk.clone(), name: name.to_owned() }))
        });
        Medium::with_backend(folder, open)
    }

    /// From now on `fault` may happen; numbers count from here, the first being 1.
    pub(crate) fn set_fault(&self, fault: Fault) {
        let mut state = self.state();
        (state.syncs, state.writes, state.struck, state.fault) = (0, 0, false, fault);
    }

    /// Makes every sync take so long.
    pub(crate) fn set_sync_time(&self, time: std::time::Duration) {
        self.state().sync_time = time;
    }

    /// Whether the fault has happened.
    pub(crate) fn has_struck(&self) -> bool {
        self.state().struck
    }

    /// Syncs since the fault was set.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The disk as it is found after a power cut, in perfect health.
    pub(crate) fn after_power_cut(&self) -> Self {
        let state = self.state();
        let files = state.files.iter().map(|(name, file)| {
            let left = Bytes { now: file.durable.clone(), durable: file.durable.clone(), ..Bytes::default() };
            (name.clone(), left)
        });
        Self(Arc::new(Mutex::new(State { files: files.collect(), ..State::default() })))
    }

    /// A disk that holds a copy of one of the files, as a process sees it.
    pub(crate) fn copy_of(&self, name: &str) -> Self {
        let files = self.state().files.get(name).map(|file| (name.to_owned(), file.clone()));
        Self(Arc::new(Mutex::new(State { files: files.into_iter().collect(), ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn file(&mut self, name: &str) -> &mut Bytes {
        self.files.get_mut(name).unwrap()
    }

    /// After a power cut nothing answers any more.
    fn power(&self) -> io::Result<()> {
        let off = self.struck && matches!(self.fault, Fault::PowerCut(..));
        if off { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn cut_power(&mut self, seed: u64) {
        self.struck = true;
        let mut random = fastrand::Rng::with_seed(seed);
        for file in self.files.values_mut() {
            match seed {
                0 => {}
                1 => file.durable = file.now.clone(),
                _ => file.keep_some(&mut random),
            }
        }
    }
}

impl Bytes {
    fn write(&mut self, offset: usize, data: &[u8]) {
        self.now[offset..offset + data.len()].copy_from_slice(data);
        self.dirty.extend(offset / PAGE..=(offset + data.len().max(1) - 1) / PAGE);
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let from = (page * PAGE).min(self.now.len());
            let to = (from + PAGE).min(self.now.len());
            self.durable[from..to].copy_from_slice(&self.now[from..to]);
        }
    }

    fn keep_some(&mut self, random: &mut fastrand::Rng) {
        if random.bool() {
            self.durable.resize(self.now.len(), 0);
        }
        for sector in self.dirty.iter().flat_map(|page| (page * PAGE..(page + 1) * PAGE).step_by(SECTOR)) {
            let end = (sector + SECTOR).min(self.now.len());
            if sector < end && random.bool() {
                let len = self.durable.len().max(end);
                self.durable.resize(len, 0);
                self.durable[sector..end].copy_from_slice(&self.now[sector..end]);
            }
        }
    }
}

#[derive(Debug)]
struct File {
    disk: FaultyDisk,
    name: String,
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.power()?;
        Ok(state.file(&self.name).now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.power()?;
        let from = offset as usize;
        let bytes = state.file(&self.name).now.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.power()?;
        let full = matches!(state.fault, Fault::Full(number) if state.writes >= number);
        let file = state.file(&self.name);
        if full && len as usize > file.now.len() {
            state.struck = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.now.resize(len as usize, 0);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.power()?;
        state.writes += 1;
        let error = match state.fault {
            Fault::Write(number) if state.writes == number => Some(io::Error::other("a bad write")),
            Fault::Full(number) if state.writes >= number => Some(io::ErrorKind::StorageFull.into()),
            _ => None,
        };
        let written = if error.is_some() { data.len() / 2 / SECTOR * SECTOR } else { data.len() };
        state.file(&self.name).write(offset as usize, &data[..written]);
        state.struck |= error.is_some();
        error.map_or(Ok(()), Err)
    }

    fn sync_data(&self) -> io::Result<()> {
        std::thread::sleep(self.disk.state().sync_time);
        let mut state = self.disk.state();
        state.power()?;
        state.syncs += 1;
        match state.fault {
            Fault::PowerCut(number, seed) if state.syncs == number => {
                state.cut_power(seed);
                state.power()
            }
            Fault::Sync(number) if state.syncs == number => {
                state.struck = true;
                state.file(&self.name).dirty.clear();
                Err(io::Error::other("a bad sync"))
            }
            Fault::Lying => Ok(()),
            _ => {
                state.file(&self.name).sync();
                Ok(())
            }
        }
    }
}
