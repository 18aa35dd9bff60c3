import os

from verl_env.cluster.node.occupied import judge, on_amd, parse


def test_lines_of_nvidia_smi_that_name_no_process_are_passed_over():
    text = "4711, 70123, GPU-1\nNo running processes found\n[N/A], [N/A], GPU-2\n"
    assert parse(text) == [(4711, "70123", "GPU-1")]


def test_the_kernel_lists_those_on_amd_gpus(tmp_path):
    for pid, gpu, held in ((12, 51545, 3 << 30), (12, 51546, 0), (13, 51546, 1 << 20)):
        file = tmp_path / f"sys/class/kfd/kfd/proc/{pid}/vram_{gpu}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{held}\n")
    assert on_amd(str(tmp_path)) == [(12, "3072", "GPU 51545"), (13, "1", "GPU 51546")]
    assert on_amd(str(tmp_path / "nowhere")) == []


def test_what_belongs_to_others_is_an_error_and_one_s_own_a_warning(tmp_path):
    (tmp_path / "proc/12").mkdir(parents=True)
    own = judge([(12, "3072", "GPU 1")], os.getuid(), str(tmp_path))
    assert (own.id, own.severity) == ("gpu-occupied", "warning")
    foreign = judge([(12, "3072", "GPU 1"), (99, "5", "GPU 1")], os.getuid(), str(tmp_path))
    assert foreign.severity == "error"
    assert foreign.evidence[0] == "process 99 of somebody that this process cannot see holds 5 MiB of GPU 1"
    assert judge([], os.getuid()) is None
