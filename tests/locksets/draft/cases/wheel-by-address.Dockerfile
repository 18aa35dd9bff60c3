# an engine on an image of NVIDIA; the attention as a wheel
FROM nvcr.io/nvidia/pytorch:25.05-py3
ENV VLLM_WORKER_MULTIPROC_METHOD=spawn NODE_OPTIONS=""
ENV MAX_JOBS=16
ARG MIRROR=https://mirror.example/simple
RUN pip config set global.index-url "${MIRROR}" && \
    python3 -m pip install -U pip
RUN pip uninstall -y torch \
    # the fork of the base image goes, with what was built on it
    flash-attn apex
RUN pip install --no-cache-dir "vllm==0.11.0" "torch==2.8.0" ray[default] \
    "numpy<2.0.0" transformers>=4.51.0 pyarrow>=15.0.0
RUN wget -nv https://files.example/v1/flash_attn-2.8.3+cu12torch2.8-cp312-cp312-linux_x86_64.whl && \
    pip install /flash_attn-2.8.3+cu12torch2.8-cp312-cp312-linux_x86_64.whl
