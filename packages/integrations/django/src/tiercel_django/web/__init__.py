"""Requests and responses of Django and Django REST framework, as Tiercel sees them.

framework.py  what Tiercel asks; imports Django only once it runs
requests.py  a request in the vocabulary of every framework
traces.py  what a view did that makes its response one for one client
responses.py  responses as they are kept, and as they are sent again
rest.py  what Django REST framework adds to both
adopted.py  views that Django made of classes and methods
"""
