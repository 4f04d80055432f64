"""Which addresses are private, and that a forbidden one is never connected to."""

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.checks import Unmet
from everwake.checks._addresses import Dialer, is_private
from everwake.model import FailureKind


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "not an address",
        "",
    ],
)
def test_addresses_off_the_public_internet_are_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "216.24.57.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_public_internet_are_not(address: str) -> None:
    assert not is_private(address)


@given(address=st.ip_addresses(v=4))
def test_an_address_inside_an_ipv6_one_is_as_private_as_itself(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    assert is_private(str(mapped)) == is_private(str(address))


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    dialer = Dialer(allow_private=False)
    with pytest.raises(Unmet) as caught:
        dialer.check_rule(("1.1.1.1", "10.0.0.1"))
    assert caught.value.failure.kind is FailureKind.ADDRESS_REFUSED
    dialer.check_rule(("1.1.1.1",))
    dialer.close()


async def test_names_are_resolved_without_holding_up_the_loop() -> None:
    dialer, turns = Dialer(), 0

    async def counts() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(counts())
    assert "127.0.0.1" in await dialer.resolve("localhost", 80)
    counting.cancel()
    assert turns > 0
    with pytest.raises(socket.gaierror):
        await dialer.resolve("")
    dialer.close()
