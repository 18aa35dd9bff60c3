FROM nvidia/cuda:12.9.1-devel-ubuntu22.04
ARG TE=v2.10
RUN apt-get update && apt-get install -y git cmake
RUN MAX_JOBS=64 pip install -v --no-build-isolation --config-settings "--build-option=--cpp_ext" git+https://github.com/NVIDIA/apex.git
RUN export NVTE_FRAMEWORK=pytorch && pip3 install --no-deps --no-build-isolation git+https://github.com/NVIDIA/TransformerEngine.git@${TE}
RUN git clone -b branch-7 https://github.com/example/kernels.git && cd kernels && git checkout 0123abc && \
    sed -i 's/a/b/' setup.py && pip install .
RUN git clone https://github.com/example/trainer && pip install -e trainer[extra]
RUN git clone https://github.com/example/deep && cd deep && TORCH_CUDA_ARCH_LIST="9.0" python setup.py install
