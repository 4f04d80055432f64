# The Makefile's two steps for PowerShell:  .\make.ps1 up   and   .\make.ps1 test
param([ValidateSet("up", "test", "check")][string]$Target = "up")
$ErrorActionPreference = "Stop"

function Step([string]$Text, [scriptblock]$Do) {
    Write-Host "- $Text"
    & $Do
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

$python = if (Get-Command py -ErrorAction SilentlyContinue) { "py" } else { "python" }
$bin = ".venv\Scripts"
& $python -c "import sys; sys.exit(sys.version_info < (3, 11))"
if ($LASTEXITCODE -ne 0) { Write-Host "Everwake needs Python 3.11 or newer; '$python' is older."; exit 2 }
if (-not (Test-Path "$bin\python.exe")) {
    Step "making a virtual environment in .venv" { & $python -m venv .venv }
}

# Installed again only when what is to be installed changed.
$extra = if ($Target -eq "up") { "all" } else { "dev" }
$wanted = (Get-FileHash pyproject.toml).Hash + (Get-FileHash constraints.txt).Hash
$stamp = ".venv\installed-$extra"
if (-not (Test-Path $stamp) -or (Get-Content $stamp) -ne $wanted) {
    Step "installing Everwake (once, about a minute)" {
        & "$bin\python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]" -c constraints.txt
    }
    Set-Content $stamp $wanted
}

switch ($Target) {
    "up" { & "$bin\everwake" up }
    "test" { & "$bin\python" -m pytest -n auto --dist loadgroup tests }
    "check" {
        Step "ruff" { & "$bin\ruff" check . }
        Step "mypy --strict" { & "$bin\mypy" }
        Step "import-linter" { & "$bin\lint-imports" }
    }
}
exit $LASTEXITCODE
