"""What the service says of itself for machines and people: OpenAPI, AsyncAPI, TypeScript types, and a page.

All are made from the structs of ``protocol`` and from the tables here: ``routes`` has the REST routes,
``asked`` and ``told`` the messages, ``fields`` what each field is, ``codes`` what the codes mean. Knows
nothing of sockets: ``transport.contracts`` serves what is made here, ``python -m mikroroom.contracts`` writes
it down.
"""
