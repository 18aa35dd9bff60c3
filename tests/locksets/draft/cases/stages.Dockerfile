ARG TAG=24.04
FROM ubuntu:${TAG} AS base
ENV HF_HUB_ENABLE_HF_TRANSFER 1
RUN python3 -m pip install torch==2.9.1 --index-url https://download.pytorch.org/whl/cu129
FROM alpine AS unrelated
RUN pip install never-in-the-image
FROM scratch AS builder
RUN uv pip install -v --no-build-isolation tilelang==0.1
FROM base AS last
COPY patches /patches
COPY --from=builder /venv /venv
RUN --mount=type=cache,target=/root/.cache uv pip install --system 'sglang[all]==0.5.6' --find-links=https://wheels.example/whl \
 && uv pip uninstall pynvml
RUN ["pip", "install", "--upgrade", "nvidia-cudnn-cu12==9.16.0.29"]
