//! The environment of Slurm's allocations.

use ferry_engine_core::scheduler::Allocation;

/// The variables of a job, by sbatch(1) and the plugins gres/gpu and mpi. Those of the bindings for `sbatch` are
/// among them; those that tell where the controller is stay.
pub(crate) const ALLOCATION: Allocation = Allocation {
    marker: "SLURM_JOB_ID",
    kept: &["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"],
    removed: &[
        "SLURM_*",
        "SLURMD_*",
        "PMI*",
        "SBATCH_CPU_BIND*",
        "SBATCH_MEM_BIND*",
        "TMPDIR",
        "CUDA_VISIBLE_DEVICES",
        "GPU_DEVICE_ORDINAL",
        "ROCR_VISIBLE_DEVICES",
        "ZE_AFFINITY_MASK",
    ],
};
