"""`ssvq report`: one page on a compiled network and its runs."""

from ssvq.network.report.page import report_content, report_page
from ssvq.network.report.subject import Subject

__all__ = ["Subject", "report_content", "report_page"]
