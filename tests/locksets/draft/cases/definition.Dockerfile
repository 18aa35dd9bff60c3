Bootstrap: docker
From: lmsysorg/sglang:v0.4.5-rocm630

%environment
    export PYTORCH_ROCM_ARCH="gfx90a;gfx942"

%post
    pip uninstall -y vllm
    pip install "tensordict<0.6" --no-deps
    pip install accelerate datasets \
        "ray[default]<2.45.0"
    git clone https://github.com/example/thing.git
    cd thing
    pip install -e .
