//! Allocations of batch systems: ferry may itself run in one, and its jobs must not inherit it.

/// The environment that a batch system gives to the jobs of an allocation. A scheduler declares it
/// ([`Factory::allocation`](super::Factory::allocation)); submissions through every scheduler then start without it.
///
/// A name that ends in `*` stands for all variables that begin so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The variable that is set in every allocation, and nowhere else.
    pub marker: &'static str,
    /// Variables that stay, although `removed` names them: those that say where the batch system is.
    pub kept: &'static [&'static str],
    /// Variables that describe the allocation.
    pub removed: &'static [&'static str],
}

impl Allocation {
    /// Returns shell text that removes the variables, where the shell runs in an allocation.
    pub(super) fn leave(&self) -> String {
        let kept = match self.kept {
            [] => String::new(),
            names => format!("        {}) ;;\n", names.join("|")),
        };
        format!(
            r#"if [ -n "${{{marker}:-}}" ]; then
    for v in $(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p'); do
        case $v in
{kept}        {removed}) unset "$v";;
        esac
    done
fi
"#,
            marker = self.marker,
            removed = self.removed.join("|"),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Allocation;

    /// Returns what is left of the environment.
    fn left(environment: &[(&str, &str)]) -> String {
        let allocation =
            Allocation { marker: "SITE_JOB", kept: &["SITE_CONF"], removed: &["SITE_*", "TMPDIR"] };
        let script = format!("{}env | grep -E '^(SITE|TMPDIR|OTHER)' | sort", allocation.leave());
        let output = Command::new("sh")
            .args(["-c", &script])
            .env_remove("TMPDIR")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn an_allocation_is_left_and_nothing_else() {
        let of_the_job = [("SITE_JOB", "7"), ("SITE_NODES", "a\nSITE_CONF=b"), ("TMPDIR", "/tmp/7")];
        let others = [("SITE_CONF", "/etc/site"), ("OTHER", "x")];
        let all: Vec<_> = of_the_job.iter().chain(&others).copied().collect();
        assert_eq!(left(&all), "OTHER=x\nSITE_CONF=/etc/site\n");
        // Outside of an allocation the same names may mean something else.
        assert_eq!(left(&[("TMPDIR", "/scratch"), ("SITE_X", "1")]), "SITE_X=1\nTMPDIR=/scratch\n");
    }
}
