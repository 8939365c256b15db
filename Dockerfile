# The worker: OMNeT++, the worker program, a compiler cache and the example simulations.
#
#   docker build . -t worker
#   docker run -e OPPCLOUD_REDIS_URL -e OPPCLOUD_KEY worker
#
# docs/how-to/docker.md tells how to choose another OMNeT++, a base of one's own (INET, …), or one without OMNeT++.

# A Debian or Ubuntu. Without OMNeT++ in it, the image runs the Python programs of the example simulations.
ARG BASE_IMAGE=ghcr.io/omnetpp/omnetpp:u24.04-6.1.0


# What all stages need of the distribution, in one layer that changes rarely.
FROM ${BASE_IMAGE} AS base
# hadolint ignore=DL3002
USER 0:0
# Where the official images have OMNeT++. Their first releases put it on the PATH of interactive shells only. The
# library path serves programs that were linked against an OMNeT++ elsewhere, such as the one at the desk.
ARG OMNETPP_ROOT=/root/omnetpp
ENV PATH=/opt/oppcloud/bin:/usr/lib/ccache:${OMNETPP_ROOT}/bin:${PATH} \
    LD_LIBRARY_PATH=${OMNETPP_ROOT}/lib${LD_LIBRARY_PATH:+:}${LD_LIBRARY_PATH} \
    LANG=C.UTF-8
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates ccache tini \
    && if ! command -v python3; then apt-get install --yes --no-install-recommends python3; fi \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    # Where only root gets into the folder around OMNeT++, let the worker through.
    && if [ -d "${OMNETPP_ROOT}" ]; then chmod o+x "$(dirname "${OMNETPP_ROOT}")"; fi \
    # Nobody but root may read the init process's memory, and with it the address of the queue in its environment.
    && chmod 0711 /usr/bin/tini


# Virtual environments are made here: the distribution's own Python stays as it is.
FROM base AS python
RUN if ! python3 -c 'import ensurepip, venv'; then \
      export DEBIAN_FRONTEND=noninteractive \
      && apt-get update \
      && apt-get install --yes --no-install-recommends python3-venv \
      && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; \
    fi


# The worker and what it needs.
FROM python AS wheels
# yes: with the ini reader and the kernel under the examples' Python programs. auto: yes where there is no OMNeT++.
ARG ENGINE=auto
# More packages from the index, separated by blanks: what simulations in Python import, for example.
ARG PACKAGES=""
RUN python3 -m venv /opt/oppcloud
COPY worker /src/worker
COPY pyproject.toml README.md LICENSE /src/
COPY pytest_oppcloud /src/pytest_oppcloud
RUN case "${ENGINE}" in \
      yes) engine=yes ;; \
      no) engine=no ;; \
      auto) engine=$(command -v opp_run >/dev/null && echo no || echo yes) ;; \
      *) echo "ENGINE=${ENGINE}: yes, no or auto was expected" >&2; exit 1 ;; \
    esac \
    # With s3: clusters in Amazon's cloud have their store there.
    && if [ "${engine}" = yes ]; then what='/src[examples,s3]'; else what='/src/worker[s3]'; fi \
    # Several words, if there are several packages.
    # shellcheck disable=SC2086
    && /opt/oppcloud/bin/pip install --no-cache-dir --disable-pip-version-check "${what}" ${PACKAGES} \
    && /opt/oppcloud/bin/pip check \
    # Nothing is installed later.
    && /opt/oppcloud/bin/pip uninstall --yes --quiet pip


# The example simulations, built where there is OMNeT++.
FROM base AS examples
COPY example_sims /opt/example_sims
WORKDIR /opt/example_sims
RUN if command -v opp_makemake >/dev/null; then \
      for source in */*.cc; do \
        folder=$(dirname "${source}") \
        && if [ ! -e "${folder}/Makefile" ]; then \
             env --chdir="${folder}" opp_makemake -f --deep \
             && make --directory="${folder}" --jobs="$(nproc)" MODE=release; \
           fi \
        || exit 1; \
      done \
      && find . -name '*.o' -delete; \
    fi


# RQ's dashboard, for those who want to look into the queue: docker compose --profile dashboard up
FROM python AS dashboard-packages
RUN python3 -m venv /opt/dashboard \
    && /opt/dashboard/bin/pip install --no-cache-dir --disable-pip-version-check 'rq-dashboard>=0.9,<0.10' six 'rq>=3,<4'


FROM base AS dashboard
COPY --from=dashboard-packages /opt/dashboard /opt/dashboard
USER 10001:10001
EXPOSE 9181
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/opt/dashboard/bin/rq-dashboard"]


FROM base AS worker
# The one folder that is written to, besides /tmp: unpacked content and the compiler's cache. Open to all users, as some
# platforms choose the user, and some mount a volume there with the mode of the folder but an owner of their own.
ENV XDG_CACHE_HOME=/var/cache/oppcloud \
    CCACHE_DIR=/var/cache/oppcloud/ccache \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 worker \
    && useradd --uid 10001 --gid 10001 --home-dir /var/cache/oppcloud --no-create-home --shell /usr/sbin/nologin worker \
    && install --directory --owner=worker --group=worker --mode=1777 /var/cache/oppcloud
COPY --from=examples /opt/example_sims /opt/example_sims
COPY --from=wheels /opt/oppcloud /opt/oppcloud
WORKDIR /var/cache/oppcloud
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/opt/oppcloud/bin/python", "-m", "oppcloud_worker.health"]
# tini, as process 1, passes signals on and buries what simulations leave behind. -s: also where it is not process 1.
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/opt/oppcloud/bin/python", "-m", "oppcloud_worker"]
# Last, as they change most often.
ARG VERSION=""
ARG REVISION=""
ARG BASE_IMAGE
# What the worker tells that it runs in: the name that the image is built under.
ARG IMAGE=""
ENV OPPCLOUD_IMAGE=${IMAGE}
LABEL org.opencontainers.image.title="oppcloud-worker" \
      org.opencontainers.image.description="Runs OMNeT++ simulations that pytest --oppcloud puts into a queue" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
