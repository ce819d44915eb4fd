//! How much processor time this process may have, and how much a thread has had.
//!
//! It must not know what it is spent on.

use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processor seconds a second: the cores, or less where a control group says so.
pub(super) fn cores() -> f32 {
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f32);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    quota(&groups, Path::new("/sys/fs/cgroup")).map_or(cores, |quota| quota.min(cores))
}

/// What this thread has had so far.
pub(super) fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The system's clocks do not run backwards past their beginning.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The least quota of the process's control groups and those above, in either version of the interface.
fn quota(groups: &str, root: &Path) -> Option<f32> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let folders = lines.flat_map(|(controllers, path)| match controllers {
        "" => above(root, path),
        of if of.split(',').any(|one| one == "cpu") => {
            [above(&root.join(of), path), above(&root.join("cpu"), path)].concat()
        }
        _ => Vec::new(),
    });
    folders.filter_map(|folder| of_folder(&folder)).min_by(f32::total_cmp)
}

/// The folder of a group, and of those that it lies in. In a container the group may be the root itself.
fn above(root: &Path, path: &str) -> Vec<PathBuf> {
    let group = root.join(path.trim_start_matches('/'));
    group.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}

fn of_folder(folder: &Path) -> Option<f32> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (quota, period) = match read("cpu.max") {
        Some(both) => {
            let (quota, period) = both.trim().split_once(' ')?;
            (quota.parse::<f32>().ok()?, period.parse::<f32>().ok()?)
        }
        None => {
            let number = |name| read(name)?.trim().parse::<f32>().ok();
            (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
        }
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn the_least_quota_on_the_way_up_counts() {
        let root = folder(&[
            ("system.slice/cpu.max", "50000 100000\n"),
            ("system.slice/ironlist.service/cpu.max", "max 100000\n"),
        ]);
        assert_eq!(quota("0::/system.slice/ironlist.service\n", root.path()), Some(0.5));
        assert_eq!(quota("0::/\n", root.path()), None);
    }

    #[test]
    fn the_older_interface_is_read_too() {
        let root = folder(&[
            ("cpu/fifth/cpu.cfs_quota_us", "1000\n"),
            ("cpu/fifth/cpu.cfs_period_us", "5000\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(quota("1:cpu:/fifth\n0::/\n", root.path()), Some(0.2));
        assert_eq!(quota("1:cpu:/\n0::/\n", root.path()), None);
    }

    #[test]
    fn processor_time_passes() {
        let before = spent();
        std::hint::black_box((0..5_000_000_u64).fold(0, |sum: u64, n| sum ^ n.wrapping_mul(sum | 1)));
        assert!(spent() > before && cores() > 0.0);
    }
}
