"""`python -m gateway_service.cli` is the command `gateway-service`."""

from gateway_service.cli.commands import main

main()
