ARG BASE="rocm/x"
FROM $BASE AS base
ARG CUDA_VERSION=12.5.1
ARG TARGETARCH
ARG EXTRAS=""
ARG TORCH_VERSION
ARG REPO=https://github.com/example/kernels.git
ARG LATER=${TORCH_VERSION:-${CUDA_VERSION}}
ENV SHOWN=${LATER}
WORKDIR /src
RUN pip install base-of-both
FROM base AS wheels
RUN pip install only-to-build-wheels
FROM base AS last
COPY --from=wheels /src/versions.txt /src/versions.txt
COPY --from=base /opt/venv /opt/venv
RUN cd / && if [ "$CUDA_VERSION" = "12.1.1" ]; then \
      export CU=121; \
    elif [ "$CUDA_VERSION" = "12.5.1" ] && [ -z "$EXTRAS" ]; then \
      export CU=124; \
    else \
      export CU=118; pip install old-kernel -i https://wheels.example/cu118; \
    fi && pip install torch --index-url https://wheels.example/cu${CU}
RUN if [[ "${TARGETARCH}" != "arm64" ]]; then pkgs="a b"; else pkgs="c"; fi && pip install $pkgs $EXTRAS
RUN if [ -n "${TORCH_VERSION}" ]; then NCCL=2.25; pip install torch==2.6 --target /opt/other; fi; pip install x==${NCCL:-1}
RUN git clone --branch v3 ${REPO} /app || git clone ${REPO} /app
RUN git clone https://github.com/example/tools && cd tools/sub && cd .. && git checkout abc && cd python && pip install -e '.[all]'
WORKDIR /app
RUN pip install . || pip install --no-deps .
RUN pip install "git+https://github.com/example/many.git@v1#subdirectory=one&egg=the_one" git+https://github.com/example/many.git#subdirectory=two
WORKDIR ../elsewhere
RUN pip install -e .
