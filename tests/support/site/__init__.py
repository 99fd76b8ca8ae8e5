"""The generated parts of the pages in docs/, and the navigation of the site. `documents.py` writes them."""

from tests.support.site.documents import list_site_documents

__all__ = ["list_site_documents"]
