import pytest

from verl_env.machine.system.job import as_in_job

SLURM = {"SLURM_JOB_ID": "7", "ROCR_VISIBLE_DEVICES": "0,1"}


@pytest.mark.parametrize(
    ("given", "amd", "then"),
    [
        # verl's workers compare HIP_VISIBLE_DEVICES with the one device that Ray gives each by CUDA_VISIBLE_DEVICES.
        ({**SLURM, "CUDA_VISIBLE_DEVICES": "0,1"}, False, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1"}),
        (SLURM, True, {"SLURM_JOB_ID": "7", "HIP_VISIBLE_DEVICES": "0,1"}),
        ({"ROCR_VISIBLE_DEVICES": "1"}, True, {"ROCR_VISIBLE_DEVICES": "1"}),
        ({"SLURM_JOB_ID": "7"}, True, {"SLURM_JOB_ID": "7"}),
    ],
)
def test_what_slurm_sets_for_other_gpus_reaches_no_worker(given, amd, then):
    assert as_in_job(given, amd=amd) == then
