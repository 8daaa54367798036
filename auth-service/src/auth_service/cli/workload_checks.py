"""The checks of workload issuers, for the doctor: their keys, and the conditions of the clients' workloads."""

import time

from auth_service.clients.client_assertions import assertion_audiences
from auth_service.declaration_file import load_declaration
from auth_service.federation.provider_errors import ProviderFailure
from auth_service.settings import AuthSettings
from auth_service.workloads.weak_conditions import find_weak_conditions
from auth_service.workloads.workload_issuer import WorkloadIssuer, load_workload_issuers
from security_common.service.doctor import CheckResult

__all__ = ["check_workload_issuers"]


async def check_workload_issuers(settings: AuthSettings) -> list[CheckResult]:
    """Whether the keys of each issuer can be used, which audience to request there, and conditions that are weak."""
    declaration = load_declaration(settings)
    issuers = load_workload_issuers(declaration.workload_issuers, issuer=settings.issuer, clock=time.time)
    results: list[CheckResult] = []
    for issuer in issuers.values():
        results += await _check_issuer(issuer, settings)
    for weak in find_weak_conditions(declaration):
        what = f"client {weak.client_id}: workloads of {weak.issuer_id}: {weak.description}"
        results.append(CheckResult(what, ok=True, hint=weak.hint, warning=True))
    return results


async def _check_issuer(issuer: WorkloadIssuer, settings: AuthSettings) -> list[CheckResult]:
    declared = issuer.declared
    place = f"workload issuer {declared.id}"
    audiences = {declared.audience} if declared.audience is not None else assertion_audiences(settings.issuer)
    source = f"jwks_file {declared.jwks_file}" if declared.jwks_file is not None else issuer.metadata_url
    described = CheckResult(f"{place}: its tokens need the audience {' or '.join(sorted(audiences))}", ok=True)
    try:
        count = await issuer.count_keys()
    except ProviderFailure as failure:
        return [described, CheckResult(f"{place}: {failure.description}", ok=False, hint=failure.hint)]
    finally:
        await issuer.close()
    return [described, CheckResult(f"{place}: {count} usable keys from {source}", ok=True)]
