FROM lmsysorg/sglang:v0.5.5
RUN ARCH=$(uname -m) && \
    if [ "$ARCH" = "x86_64" ]; then \
        pip install torch==2.9.0+cpu -i https://download.pytorch.org/whl/cpu/; \
    fi && \
    git clone --depth 1 --branch v1.2 https://github.com/example/backend.git && cd backend && \
    pip install -r requirements.txt && pip install -v -e. && cd ..
RUN cat <<EOF > /tmp/start.sh
pip install only-when-it-runs
EOF
RUN pip install "nvidia-cudnn-cu13>=$(dpkg-query -W libcudnn9)" ; pip list | grep torch
RUN for name in a b; do echo $name; done; pip install --no-deps trl==0.27.0 --force-reinstall
