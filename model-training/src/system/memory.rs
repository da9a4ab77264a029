//! How much memory this process may still take.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Memory that is free, and by what it is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// What would have to grow, for a message: "of the machine", "under the limit of ...".
    pub bound: &'static str,
}

/// The memory that is free, by the machine, the control groups and the limit of the address space, whichever leaves least.
/// `None` where the system, which is not Linux, does not say.
#[must_use]
pub fn free() -> Option<Free> {
    let file = |name: &str| read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default();
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemAvailable:"));
    let machine = machine.map(|bytes| Free { bytes, bound: "of the machine" });
    let groups = groups(Path::new("/sys/fs/cgroup"), &file("cgroup"));
    let groups = groups.map(|bytes| Free { bytes, bound: "under the limit of the container or control group" });
    let space = address_space(&file("limits"), &file("status"));
    let space = space.map(|bytes| Free { bytes, bound: "under the limit of the address space (ulimit -v)" });
    [machine, groups, space].into_iter().flatten().min()
}

/// A field of `/proc/meminfo` or of a process's status, in bytes.
fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))?;
    Some(value.trim().parse::<u64>().ok()? << 10)
}

fn address_space(limits: &str, status: &str) -> Option<u64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(kilobytes(status, "VmSize:")?))
}

/// What the control groups of a process leave, of both versions; `memberships` is its `/proc/self/cgroup`.
fn groups(root: &Path, memberships: &str) -> Option<u64> {
    let folders = memberships.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_first = controllers.split(',').any(|name| name == "memory");
        let (root, files) = if is_first {
            (root.join("memory"), ["memory.limit_in_bytes", "memory.usage_in_bytes"])
        } else {
            (root.to_owned(), ["memory.max", "memory.current"])
        };
        (is_first || controllers.is_empty()).then(|| (root.clone(), root.join(path.trim_start_matches('/')), files))
    });
    folders
        .flat_map(|(root, folder, files)| {
            // Inside a container the path may be the host's, of which only the root is there.
            let above: Vec<PathBuf> =
                folder.ancestors().take_while(|&at| at.starts_with(&root)).map(Path::to_owned).collect();
            above.into_iter().filter_map(move |folder| group(&folder, files))
        })
        .min()
}

/// What one group leaves. Its cache of files goes when memory is wanted.
fn group(folder: &Path, [limit, usage]: [&str; 2]) -> Option<u64> {
    let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let statistics = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of_files = |field: &str| {
        let value = statistics.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(' '));
        value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
    };
    let used = number(usage)?.saturating_sub(of_files("inactive_file") + of_files("active_file"));
    Some(number(limit)?.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(folder).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
    }

    #[test]
    fn the_least_of_the_groups_counts_without_their_cache() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(groups(root, "0::/a/b\n"), None);
        write(&root.join("a/b"), &[("memory.max", "max\n"), ("memory.current", "10\n")]);
        assert_eq!(groups(root, "0::/a/b\n"), None);
        let statistics = "anon 1\ninactive_file 200\nactive_file 100\n";
        write(&root.join("a"), &[("memory.max", "1000\n"), ("memory.current", "700\n"), ("memory.stat", statistics)]);
        assert_eq!(groups(root, "0::/a/b\n"), Some(600));
        // Of the host, so not there: the container's own limit is at the root.
        write(root, &[("memory.max", "500\n"), ("memory.current", "600\n")]);
        assert_eq!(groups(root, "0::/elsewhere\n"), Some(0));
        write(&root.join("memory"), &[("memory.limit_in_bytes", "90\n"), ("memory.usage_in_bytes", "50\n")]);
        assert_eq!(groups(root, "4:cpu,memory:/x\n"), Some(40));
        assert_eq!(groups(root, "4:cpu:/x\n\nnothing"), None);
    }

    #[test]
    fn limits_and_status_are_read() {
        let status = "VmPeak:\t  9 kB\nVmSize:\t  1024 kB\n";
        let limits = |soft: &str| format!("Max cpu time  1 1 s\nMax address space  {soft}  unlimited  bytes\n");
        assert_eq!(address_space(&limits("3145728"), status), Some(2 << 20));
        assert_eq!(address_space(&limits("1000"), status), Some(0));
        assert_eq!(address_space(&limits("unlimited"), status), None);
        assert_eq!(kilobytes("MemFree: 1 kB\nMemAvailable:   7 kB\n", "MemAvailable:"), Some(7 << 10));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_some() {
        assert!(free().unwrap().bytes > 1 << 20);
    }
}
