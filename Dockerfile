# CPU:  docker build -t lipsync-eval .
# CUDA: docker build -t lipsync-eval:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .
# Run:  docker run --rm --read-only --tmpfs /tmp -v "$PWD:/data" -v lipsync-weights:/weights -v lipsync-cache:/cache \
#         lipsync-eval score gen gt --out run
# With --gpus all for the CUDA image. The container's user is 1000; --user "$(id -u):$(id -g)" writes as you.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
# torch comes from this index: the CPU builds are 200 MB, the CUDA builds several GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY . /src
RUN python -m venv /opt/lipsync-eval \
 && sed -n 's/^\(torch==[^+]*\).*/\1/p' /src/constraints.txt > /tmp/torch.txt \
 && /opt/lipsync-eval/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple -r /tmp/torch.txt \
 && /opt/lipsync-eval/bin/pip install --no-cache-dir -c /src/constraints.txt /src

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="lipsync-eval" org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/lipsync-eval /opt/lipsync-eval
RUN useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin lipsync \
 && install -d -o 1000 -m 1777 /weights /cache /data
# No HOME: what is kept lies in the two volumes, so a read-only root works. matplotlib wants a folder of its own.
ENV PATH=/opt/lipsync-eval/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    LIPSYNC_EVAL_WEIGHTS=/weights LIPSYNC_EVAL_CACHE=/cache MPLCONFIGDIR=/tmp/matplotlib
VOLUME ["/weights", "/cache"]
WORKDIR /data
USER 1000
ENTRYPOINT ["lipsync-eval"]
CMD ["--help"]
