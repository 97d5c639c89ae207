//! The identity of a child: host, boot, pid and start time.

use ferry_engine_core::scheduler::JobId;

/// Parts of a job id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildId {
    pub(crate) host: String,
    pub(crate) boot: String,
    pub(crate) pid: u32,
    pub(crate) start: u64,
}

impl ChildId {
    pub(crate) fn parse(id: &JobId) -> Option<ChildId> {
        let mut parts = id.0.rsplitn(4, ':');
        let start = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let boot = parts.next()?.to_owned();
        Some(ChildId { host: parts.next()?.to_owned(), boot, pid, start })
    }
}

/// Returns pid, state letter and start time of a line of `/proc/PID/stat`. The name in it may hold spaces and
/// parentheses, so the fields are counted from the last parenthesis. See proc(5).
pub(crate) fn parse_stat(line: &str) -> Option<(u32, char, u64)> {
    let pid = line.split(' ').next()?.parse().ok()?;
    let mut fields = line.get(line.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3 and the start time field 22.
    let start = fields.nth(18)?.parse().ok()?;
    Some((pid, state, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart_from_the_end() {
        let id = ChildId::parse(&JobId("a:b:boot-1:42:99".into())).unwrap();
        assert_eq!((id.host.as_str(), id.boot.as_str(), id.pid, id.start), ("a:b", "boot-1", 42, 99));
        assert_eq!(ChildId::parse(&JobId("12".into())), None);
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let line = "42 (a) b (x) Z 1 42 42 0 -1 4 0 0 0 0 1 2 3 4 20 0 1 0 777 0 0";
        assert_eq!(parse_stat(line), Some((42, 'Z', 777)));
    }
}
