"""t."""


def main() -> None:
    """M."""
    import supervisor

    print(supervisor.__file__)
