"""What the package uses of its libraries' private interfaces: a module a library, and nowhere else."""

__all__: list[str] = []
