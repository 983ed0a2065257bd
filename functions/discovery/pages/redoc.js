// Search needs a worker made of a blob, which the page's policy forbids; the browser's own search works.
Redoc.init("/openapi.json", { disableSearch: true, hideDownloadButton: false, nativeScrollbars: true }, document.getElementById("api"));
