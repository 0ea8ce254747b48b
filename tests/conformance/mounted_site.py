"""A site of somebody else's that has the meeting service under a prefix, and does not run its lifespan."""

from starlette.applications import Starlette
from starlette.routing import Mount

from mikroroom import create_app

app = Starlette(routes=[Mount("/meet", app=create_app())])
