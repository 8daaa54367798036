"""`python -m gateway_service.program_supervisor N`: runs what the control socket with file descriptor N asks for."""

import socket
import sys

from gateway_service.program_supervisor.supervisor import run

run(socket.socket(fileno=int(sys.argv[1])))
