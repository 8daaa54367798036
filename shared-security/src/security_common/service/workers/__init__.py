"""Several processes that serve one address: a supervisor and its workers.

    supervisor   opens the listening socket, starts the workers and replaces those that end; serves the metrics
      │  socket  inherited by every worker; the kernel gives each connection to one of them
      │  channel a pair of Unix sockets for each worker
      ├─▶ worker 0   the service, with its own audit journal
      └─▶ worker 1

    signal to the supervisor   effect
    SIGTERM, SIGINT            every worker drains, then the supervisor ends
    SIGHUP                     workers are replaced one by one, so that files are read again

Over a channel either side sends questions:

    from a worker         started     it accepts connections
                          readiness   the checks of all workers
    from the supervisor   readiness   the checks of this worker
                          metrics     the metrics of this worker
                          retire      stop without a failed request: the other workers accept the connections

A worker whose supervisor has ended drains and stops: its channel is closed then.
"""
