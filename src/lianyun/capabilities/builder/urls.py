"""Addresses of the builder."""

from django.urls import path

from .views import editing, listing, publishing, trying

app_name = "builder"
_HERE = "workbench/builder/"
_ONE = f"{_HERE}s/<slug:code>/"
urlpatterns = [
    path(_HERE, listing.listing, name="list"),
    path(f"{_HERE}new/", listing.new, name="new"),
    path(f"{_HERE}import/", listing.import_page, name="import"),
    path(f"{_HERE}reviews/", publishing.reviews, name="desk"),
    path(f"{_HERE}reviews/<int:number>/", publishing.review, name="review"),
    path(f"{_HERE}cases/<str:code>/", publishing.case, name="case"),
    path(_ONE, listing.overview, name="overview"),
    path(f"{_ONE}pack.zip", listing.pack, name="pack"),
    path(f"{_ONE}history/", listing.history, name="history"),
    path(f"{_ONE}history/<int:number>/", listing.revision, name="revision"),
    path(f"{_ONE}history/<int:number>.bpmn", listing.drawing, name="drawing"),
    path(f"{_ONE}clash/<int:number>/", editing.clash, name="clash"),
    path(f"{_ONE}submit/", publishing.submit, name="submit"),
    path(f"{_ONE}take-back/", publishing.take_back, name="take_back"),
    path(f"{_ONE}withdraw/", publishing.withdraw, name="withdraw"),
    path(f"{_ONE}resume/", publishing.resume, name="resume"),
    path(f"{_ONE}try/", trying.trying, name="try"),
    path(f"{_ONE}try/licence.<str:kind>", trying.specimen, name="specimen"),
    path(f"{_ONE}check.json", editing.check, name="check"),
    path(f"{_ONE}preview/<slug:page>/", editing.preview, name="preview"),
    path(f"{_ONE}text/<slug:part>/", editing.text, name="text"),
    path(f"{_ONE}<slug:page>/", editing.edit, name="edit"),
]
