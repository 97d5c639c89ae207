//! Slurm's names for limits and for reasons why a job waits. `sbatch` prints the name of a limit beside a refusal,
//! `squeue` prints it as a reason.
//!
//! The names are those of `job_reason_string` in 22.05.8 (queried number by number) and of
//! `src/common/job_state_reason.c` in SchedMD/slurm, commit 00cd61f (2025). At submission, limits on the number of
//! submitted jobs look at other jobs. All others compare the job's request with the whole limit. See
//! `acct_policy_validate` in `src/slurmctld/acct_policy.c`, commit 00236e0. It was tested on 22.05.8 with a QOS
//! that has `DenyOnLimit`.

/// The kind of limit that a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A limit on the number of jobs: others make room when they end.
    Jobs,
    /// A limit on the request of one job: a job that was refused for it will always be too large.
    Size,
}

/// Limits on the number of jobs.
const JOBS: &[&str] = &[
    "QOSGrpJobsLimit",
    "QOSGrpSubmitJobsLimit",
    "QOSMaxJobsPerUserLimit",
    "QOSMaxSubmitJobPerUserLimit",
    "QOSJobLimit",
    "AssocGrpJobsLimit",
    "AssocGrpSubmitJobsLimit",
    "AssocMaxJobsLimit",
    "AssocMaxSubmitJobLimit",
    "AssociationJobLimit",
    "MaxJobsPerAccount",
    "MaxSubmitJobsPerAccount",
];

/// Limits on the request of a job. While it waits, those of groups and users may depend on other jobs as well.
const SIZES: &[&str] = &[
    "QOSGrpCpuLimit",
    "QOSGrpCPUMinutesLimit",
    "QOSGrpCPURunMinutesLimit",
    "QOSGrpMemLimit",
    "QOSGrpNodeLimit",
    "QOSGrpWallLimit",
    "QOSMaxCpuPerJobLimit",
    "QOSMaxCpuMinutesPerJobLimit",
    "QOSMaxNodePerJobLimit",
    "QOSMaxWallDurationPerJobLimit",
    "QOSMaxCpuPerUserLimit",
    "QOSMaxNodePerUserLimit",
    "QOSMinCpuNotSatisfied",
    "AssocGrpCpuLimit",
    "AssocGrpCPUMinutesLimit",
    "AssocGrpCPURunMinutesLimit",
    "AssocGrpMemLimit",
    "AssocGrpNodeLimit",
    "AssocGrpWallLimit",
    "AssocMaxCpuPerJobLimit",
    "AssocMaxCpuMinutesPerJobLimit",
    "AssocMaxNodePerJobLimit",
    "AssocMaxWallDurationPerJobLimit",
    "AssocGrpUnknown",
    "AssocGrpUnknownMinutes",
    "AssocGrpUnknownRunMinutes",
    "AssocMaxUnknownPerJob",
    "AssocMaxUnknownPerNode",
    "AssocMaxUnknownMinutesPerJob",
    "AssocMaxCpuPerNode",
    "AssocGrpMemMinutes",
    "AssocGrpMemRunMinutes",
    "AssocMaxMemPerJob",
    "AssocMaxMemPerNode",
    "AssocMaxMemMinutesPerJob",
    "AssocGrpNodeMinutes",
    "AssocGrpNodeRunMinutes",
    "AssocMaxNodeMinutesPerJob",
    "AssocGrpEnergy",
    "AssocGrpEnergyMinutes",
    "AssocGrpEnergyRunMinutes",
    "AssocMaxEnergyPerJob",
    "AssocMaxEnergyPerNode",
    "AssocMaxEnergyMinutesPerJob",
    "AssocGrpGRES",
    "AssocGrpGRESMinutes",
    "AssocGrpGRESRunMinutes",
    "AssocMaxGRESPerJob",
    "AssocMaxGRESPerNode",
    "AssocMaxGRESMinutesPerJob",
    "AssocGrpLicense",
    "AssocGrpLicenseMinutes",
    "AssocGrpLicenseRunMinutes",
    "AssocMaxLicensePerJob",
    "AssocMaxLicenseMinutesPerJob",
    "AssocGrpBB",
    "AssocGrpBBMinutes",
    "AssocGrpBBRunMinutes",
    "AssocMaxBBPerJob",
    "AssocMaxBBPerNode",
    "AssocMaxBBMinutesPerJob",
    "QOSGrpUnknown",
    "QOSGrpUnknownMinutes",
    "QOSGrpUnknownRunMinutes",
    "QOSMaxUnknownPerJob",
    "QOSMaxUnknownPerNode",
    "QOSMaxUnknownPerUser",
    "QOSMaxUnknownMinutesPerJob",
    "QOSMinUnknown",
    "QOSMaxCpuPerNode",
    "QOSGrpMemoryMinutes",
    "QOSGrpMemoryRunMinutes",
    "QOSMaxMemoryMinutesPerJob",
    "QOSMaxMemoryPerJob",
    "QOSMaxMemoryPerNode",
    "QOSMaxMemoryPerUser",
    "QOSMinMemory",
    "QOSGrpEnergy",
    "QOSGrpEnergyMinutes",
    "QOSGrpEnergyRunMinutes",
    "QOSMaxEnergyPerJob",
    "QOSMaxEnergyPerNode",
    "QOSMaxEnergyPerUser",
    "QOSMaxEnergyMinutesPerJob",
    "QOSMinEnergy",
    "QOSGrpNodeMinutes",
    "QOSGrpNodeRunMinutes",
    "QOSMaxNodeMinutesPerJob",
    "QOSMinNode",
    "QOSGrpGRES",
    "QOSGrpGRESMinutes",
    "QOSGrpGRESRunMinutes",
    "QOSMaxGRESPerJob",
    "QOSMaxGRESPerNode",
    "QOSMaxGRESPerUser",
    "QOSMaxGRESMinutesPerJob",
    "QOSMinGRES",
    "QOSGrpLicense",
    "QOSGrpLicenseMinutes",
    "QOSGrpLicenseRunMinutes",
    "QOSMaxLicensePerJob",
    "QOSMaxLicensePerUser",
    "QOSMaxLicenseMinutesPerJob",
    "QOSMinLicense",
    "QOSGrpBB",
    "QOSGrpBBMinutes",
    "QOSGrpBBRunMinutes",
    "QOSMaxBBPerJob",
    "QOSMaxBBPerNode",
    "QOSMaxBBPerUser",
    "QOSMinBB",
    "MaxBBPerAccount",
    "MaxCpuPerAccount",
    "MaxEnergyPerAccount",
    "MaxGRESPerAccount",
    "MaxNodePerAccount",
    "MaxLicensePerAccount",
    "MaxMemoryPerAccount",
    "MaxUnknownPerAccount",
    "AssocGrpBilling",
    "AssocGrpBillingMinutes",
    "AssocGrpBillingRunMinutes",
    "AssocMaxBillingPerJob",
    "AssocMaxBillingPerNode",
    "AssocMaxBillingMinutesPerJob",
    "QOSGrpBilling",
    "QOSGrpBillingMinutes",
    "QOSGrpBillingRunMinutes",
    "QOSMaxBillingPerJob",
    "QOSMaxBillingPerNode",
    "QOSMaxBillingPerUser",
    "QOSMaxBillingMinutesPerJob",
    "MaxBillingPerAccount",
    "QOSMinBilling",
    "MaxMemPerLimit",
];

/// Reasons for which a pending job waits for a person, and the advice to that person. Slurm writes those of some
/// launches with blanks or with underscores.
const HELD: &[(&str, &str)] = &[
    ("JobHeldUser", "held by its user: `scontrol release` it"),
    ("JobHeldAdmin", "held by an administrator: ask the site's support"),
    ("JobHoldMaxRequeue", "it was requeued too often: find out why, then `scontrol release` it"),
    ("DependencyNeverSatisfied", "a job that it depends on did not end as required: kill the process"),
    (
        "launch_failed_requeued_held",
        "a node could not launch it: ask the site's support why, then `scontrol release` it",
    ),
    (
        "user_env_retrieval_failed_requeued_held",
        "a node could not read your login environment in time: fix or shorten your login files, then `scontrol \
         release` it",
    ),
    ("BadConstraints", "no node has what it requests: kill the process, and request something else"),
    ("Constraints", "no node has what it requests: kill the process, and request something else"),
    (
        "InvalidAccount",
        "its account is not valid there any more: `scontrol update` another one, or kill the process",
    ),
    (
        "AccountNotAllowed",
        "its partition does not accept its account: `scontrol update` one of the two, or kill the process",
    ),
    ("InvalidQOS", "its QOS is not valid there any more: `scontrol update` another one, or kill the process"),
    (
        "QOSNotAllowed",
        "its partition does not accept its QOS: `scontrol update` one of the two, or kill the process",
    ),
    (
        "PartitionTimeLimit",
        "it requests more time than its partition allows: `scontrol update` its TimeLimit, or kill the process",
    ),
    (
        "PartitionNodeLimit",
        "it requests more nodes than its partition allows, or some that are down: check with `sinfo`, or kill the \
         process",
    ),
    (
        "PartitionConfig",
        "its partition has no nodes for what it requests: check with `sinfo`, or kill the process",
    ),
    ("ReservationDeleted", "its reservation is gone: `scontrol update` another one, or kill the process"),
    ("ReservationInvalid", "its reservation is gone: `scontrol update` another one, or kill the process"),
    ("DeadLine", "it can't end before its deadline: `scontrol update` the deadline, or kill the process"),
    (
        "BurstBufferOperation",
        "its burst buffer failed: find out why, then `scontrol release` it, or kill the process",
    ),
    ("AccountingPolicy", "an accounting rule forbids it: ask the site's support, or kill the process"),
];

/// Reasons that are sentences, by their beginning, and the names that mean the same: `squeue`'s `%r` prints the
/// controller's own description first (22.05.8).
const SENTENCES: &[(&str, &str)] = &[
    ("Job's account not permitted to use this partition", "AccountNotAllowed"),
    ("Job's QOS not permitted to use this partition", "QOSNotAllowed"),
];

/// The advice about a job that is larger than one job may be, and was accepted all the same.
const TOO_LARGE: &str =
    "it requests more, or less, than one job may have there: `scontrol update` it, or kill the process";

/// Returns the kind of limit that a word names; `None` for a word that names none.
pub(crate) fn limit(word: &str) -> Option<Limit> {
    match word {
        _ if JOBS.contains(&word) => Some(Limit::Jobs),
        _ if SIZES.contains(&word) => Some(Limit::Size),
        // A newer Slurm may have more such names.
        _ if word.contains("Submit") && is_limit(word) => Some(Limit::Jobs),
        _ => None,
    }
}

/// Returns whether a word looks like the name of a limit, known or not.
pub(crate) fn is_limit(word: &str) -> bool {
    ["Assoc", "QOS", "Max"].iter().any(|begin| word.starts_with(begin))
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the advice about a pending job that waits for a person; `None` for one that does not.
pub(crate) fn advice(reason: &str) -> Option<&'static str> {
    let meant = SENTENCES.iter().find(|(begin, _)| reason.starts_with(begin));
    let name = meant.map_or(reason, |(_, name)| name);
    // More text may follow a name: `ReqNodeNotAvail, UnavailableNodes:n4`.
    let name = name.split(',').next().unwrap_or_default().trim().replace(' ', "_");
    let is_for_one_job =
        |name: &str| name.contains("PerJob") || name.contains("PerNode") || name.starts_with("QOSMin");
    let known = HELD.iter().find(|(held, _)| *held == name).map(|(_, advice)| *advice);
    known.or_else(|| {
        let is_too_large =
            name == "MaxMemPerLimit" || SIZES.contains(&name.as_str()) && is_for_one_job(&name);
        is_too_large.then_some(TOO_LARGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All other reasons: they pass by themselves, or belong to jobs that have ended.
    const OTHERS: &[&str] = &[
        "None",
        "Priority",
        "Dependency",
        "Resources",
        "PartitionDown",
        "PartitionInactive",
        "BeginTime",
        "Licenses",
        "AssociationResourceLimit",
        "AssociationTimeLimit",
        "Reservation",
        "ReqNodeNotAvail",
        "FrontEndDown",
        "SchedDefer",
        "NodeDown",
        "SystemFailure",
        "JobLaunchFailure",
        "NonZeroExitCode",
        "TimeLimit",
        "InactiveLimit",
        "QOSUsageThreshold",
        "QOSResourceLimit",
        "QOSTimeLimit",
        "BlockMaxError",
        "BlockFreeAction",
        "Cleaning",
        "Prolog",
        "JobArrayTaskLimit",
        "BurstBufferResources",
        "BurstBufferStageIn",
        "PowerNotAvail",
        "PowerReserved",
        "FedJobLock",
        "OutOfMemory",
        "RaisedSignal",
    ];

    #[test]
    fn every_reason_of_slurm_stands_once() {
        let held = HELD.iter().map(|(name, _)| *name);
        let all: Vec<&str> = [JOBS, SIZES, OTHERS].into_iter().flatten().copied().chain(held).collect();
        for (index, name) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(name), "{name} stands twice");
        }
        // Those of both versions, and the two that are sentences of a launch.
        assert_eq!(all.len(), 200 + 2);
    }

    #[test]
    fn other_reasons_need_nobody() {
        for name in JOBS.iter().chain(OTHERS) {
            assert_eq!(advice(name), None, "{name}");
        }
        for name in ["ReqNodeNotAvail, UnavailableNodes:n4", "ReqNodeNotAvail, May be reserved for other job"]
        {
            assert_eq!(advice(name), None, "{name}");
        }
        let down =
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions";
        assert_eq!(advice(down), None);
        for name in ["QOSGrpCpuLimit", "QOSMaxGRESPerUser", "AssocGrpBillingMinutes", "MaxCpuPerAccount"] {
            assert_eq!(advice(name), None, "{name}: it may be other jobs that use it up");
        }
    }

    #[test]
    fn what_needs_a_person_has_advice() {
        for name in HELD.iter().map(|(name, _)| *name) {
            assert!(advice(name).is_some(), "{name}");
        }
        for name in ["launch failed requeued held", "user env retrieval failed requeued held"] {
            assert!(advice(name).is_some(), "{name}");
        }
        // Slurm 22.05.8, a partition with AllowAccounts.
        let account = "Job's account not permitted to use this partition (acct allows other not root)";
        assert_eq!(advice(account), advice("AccountNotAllowed"));
        for name in
            ["QOSMaxWallDurationPerJobLimit", "QOSMaxMemoryPerJob", "AssocMaxCpuPerNode", "MaxMemPerLimit"]
        {
            assert_eq!(advice(name), Some(TOO_LARGE), "{name}");
        }
        for name in ["QOSMinCpuNotSatisfied", "QOSMinGRES"] {
            assert_eq!(advice(name), Some(TOO_LARGE), "{name}");
        }
    }

    #[test]
    fn limits_are_told_from_one_another() {
        for name in
            ["QOSMaxGRESPerUser", "AssocGrpBillingMinutes", "QOSGrpBB", "MaxGRESPerAccount", "QOSMinNode"]
        {
            assert_eq!(limit(name), Some(Limit::Size), "{name}");
        }
        for name in ["AssocMaxSubmitJobLimit", "MaxSubmitJobsPerAccount", "QOSGrpSubmitWhatever"] {
            assert_eq!(limit(name), Some(Limit::Jobs), "{name}");
        }
        assert_eq!(limit("QOSMaxNewThingPerUser"), None);
        assert!(is_limit("QOSMaxNewThingPerUser"));
        assert!(!is_limit("Priority"));
    }
}
