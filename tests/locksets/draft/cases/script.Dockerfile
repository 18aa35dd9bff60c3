FROM rocm/primus:v26.4
ENV PYTORCH_ROCM_ARCH="gfx942;gfx950" \
    PATH=/opt/x/bin:$PATH
RUN <<EOF
set -e
# what the engine asks for
/opt/venv/bin/python.sh -m pip install 'xgrammar==0.1.32' cupy-rocm-7-0==14.1.1 > /dev/null 2>&1
pip uninstall -y vllm || true
EOF
RUN curl -L -o kernel.whl https://files.example/aiter-0.1-cp310-cp310-linux_x86_64.whl && pip install kernel.whl
RUN python3 -m pip install --pre "mcore_bridge==1.5.2" -c constraints.txt
